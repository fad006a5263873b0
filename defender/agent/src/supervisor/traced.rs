//! connect, bind and sendto where nobody can be asked but the caller's tracer (tier 4): the address is read at the stop before
//! the call, and the call is skipped when the policy forbids it.
//!
//! The caller's other threads may change the address after we have read it, so this refuses honest programs cleanly and
//! nobody else: what got by is found by the inspection of the kernel's tables.
use std::net::SocketAddr;

use defender_core::{ConnectionEvent, Event, ListenEvent, Protocol};
use defender_sys::{Errno, constants, trace};

use super::{
    connect::read_address,
    destination::is_resolver,
    inspection::{JudgedBefore, Use},
    judge::{Judge, Verdict},
    process,
};
use crate::dns_proxy::Resolvers;

/// Judges calls at their stops.
pub struct TracedCalls {
    judge: Judge,
    before: JudgedBefore,
    resolvers: Resolvers,
}

impl TracedCalls {
    /// Judges by the policy in force; what may go on is written down in `before`.
    #[must_use]
    pub fn new(judge: Judge, before: JudgedBefore) -> Self {
        Self { judge, before, resolvers: Resolvers::of_this_machine() }
    }

    /// Judges the call before which `thread` stands, and has it skipped with `EACCES` when it is to be refused.
    pub fn at_stop(&self, thread: u32) {
        if self.judge.policy().source().rule.is_none() {
            return;
        }
        let Ok(call) = trace::call(thread) else { return };
        let [_, second, third, _, fifth, sixth] = call.arguments;
        let verdict = match call.number {
            constants::SYS_connect => self.judge_destination(thread, Protocol::Tcp, second, third),
            constants::SYS_sendto => {
                let opening = call.arguments[3] & constants::MSG_FASTOPEN as u64 != 0;
                self.judge_destination(thread, if opening { Protocol::Tcp } else { Protocol::Udp }, fifth, sixth)
            }
            constants::SYS_bind => self.judge_place(thread, second, third),
            // Some filter of the workload's own wants it.
            _ => Verdict::Go,
        };
        if verdict == Verdict::Stop {
            // A thread that was killed in its stop makes no call.
            let _ = trace::refuse(thread, Errno::EACCES);
        }
    }

    /// What is no internet address, or cannot be read, is left to the kernel and to the inspection.
    fn judge_destination(&self, thread: u32, protocol: Protocol, at: u64, length: u64) -> Verdict {
        let Some(server) = address(thread, at, length) else { return Verdict::Go };
        let pid = process_of(thread);
        let event = Event::Connection(ConnectionEvent {
            protocol,
            address: server.ip(),
            port: server.port(),
            pid,
            path: process::executable_path(pid),
            resolver: is_resolver(server) && self.resolvers.has(server.ip()),
            domain: None,
        });
        let verdict = self.judge.judge(event, |_| ());
        if verdict == Verdict::Go && protocol == Protocol::Tcp {
            self.before.note(pid, Use::Connects(server));
        }
        verdict
    }

    /// Whether it is for streams or datagrams cannot be seen.
    fn judge_place(&self, thread: u32, at: u64, length: u64) -> Verdict {
        let Some(place) = address(thread, at, length).filter(|place| place.port() != 0) else {
            return Verdict::Go;
        };
        let pid = process_of(thread);
        let event = Event::Listen(ListenEvent {
            protocol: Protocol::Tcp,
            address: place.ip(),
            port: place.port(),
            pid,
            path: process::executable_path(pid),
        });
        let verdict = self.judge.judge(event, |_| ());
        if verdict == Verdict::Go {
            self.before.note(pid, Use::Waits(place));
        }
        verdict
    }
}

fn address(thread: u32, at: u64, length: u64) -> Option<SocketAddr> {
    let address = read_address(thread, at, length as u32).ok()?.inet()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn process_of(thread: u32) -> u32 {
    process::status(thread).map_or(thread, |status| status.process)
}
