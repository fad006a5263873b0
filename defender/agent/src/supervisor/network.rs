//! Everything that watches the network, behind one door.
use std::{io, os::fd::BorrowedFd};

use defender_core::Notice;
use defender_sys::{
    constants,
    notify::{Listener, Notification, Reply},
};

use super::{
    approvals::Approvals,
    closed::ClosedCallers,
    connect::ConnectWatch,
    datagram::{self, DatagramWatch},
    destination::Destinations,
    inspection::{self, JudgedBefore},
    judge::Judge,
    listen::ListenWatch,
    table,
    traced::TracedCalls,
};
use crate::{
    dns_proxy::{DnsProxy, Resolvers},
    names::Names,
};

/// Watches connections, datagrams and listening.
pub struct NetworkWatch {
    connects: ConnectWatch,
    datagrams: DatagramWatch,
    listens: ListenWatch,
    approvals: Approvals,
    traced: TracedCalls,
    closed: ClosedCallers,
}

impl NetworkWatch {
    /// Starts the DNS proxy and the audit of the kernel's table, each on a thread of its own: call it before the workload
    /// is started, so that its filter knows them and what is there now is nobody's doing. Where processes are `traced` and
    /// nobody is asked about calls, the tables are all that there is to judge by.
    #[must_use]
    pub fn start(judge: &Judge, traced: bool) -> Self {
        let (names, approvals) = (Names::default(), Approvals::default());
        let dns = DnsProxy::start(judge.policy_handle(), judge.sink(), names.clone(), Resolvers::of_this_machine());
        let dns = found(judge, "look-ups cannot be judged", dns);
        let before = JudgedBefore::default();
        let audit = if traced {
            inspection::start(judge.clone(), before.clone())
        } else {
            table::start(judge.clone(), names.clone(), approvals.clone())
        };
        found(judge, "connections cannot be audited", audit);
        let destinations = Destinations::new(judge.clone(), names, approvals.clone());
        Self {
            connects: ConnectWatch::new(destinations.clone(), dns.clone()),
            datagrams: DatagramWatch::new(destinations, dns),
            listens: ListenWatch::new(judge.clone(), approvals.clone()),
            approvals,
            traced: TracedCalls::new(judge.clone(), before),
            closed: ClosedCallers::new(judge.clone()),
        }
    }

    /// Says by which calls the workload is watched. Without `copies` the platform forbids copying descriptors: calls are
    /// judged and let go on, which can be raced. Without a listener nobody is asked, so nobody can be accused of not asking.
    pub fn watch(&mut self, listener: Option<&Listener>, copies: bool) {
        self.connects.pending.restarts = listener.is_none_or(|listener| !listener.never_restarts);
        self.connects.copies = copies;
        self.datagrams.copies = copies;
        self.listens.copies = copies;
        if listener.is_none() {
            self.approvals.lose_sight();
        }
    }

    /// Judges the call before which a traced thread stands, and has it skipped when it is to be refused.
    pub fn at_stop(&self, thread: u32) {
        self.traced.at_stop(thread);
    }

    /// Answers a notified call.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        if self.closed.goes_on(call) {
            // Its caller may be gone; then nobody waits for this.
            let _ = listener.reply(call.id, Reply::Continue);
            return;
        }
        match i64::from(call.number) {
            constants::SYS_connect => self.connects.on_call(listener, call),
            constants::SYS_bind => self.listens.on_bind(listener, call),
            constants::SYS_listen => self.listens.on_listen(listener, call),
            constants::SYS_socket => self.listens.on_socket(listener, call),
            _ => match datagram::fast_open(call) {
                Some(connect) => self.connects.on_fast_open(listener, &connect),
                None => self.datagrams.on_call(listener, call),
            },
        }
    }

    /// What becomes readable when a waiting connect is over; none while none waits.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.connects.pending.descriptor()
    }

    /// True while a connect waits: then [`Self::advance`] wants to be called every tick.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.connects.pending.is_waiting()
    }

    /// Answers the waiting connects that are over.
    pub fn advance(&mut self, listener: &Listener) {
        self.connects.advance(listener);
    }
}

fn found<T>(judge: &Judge, lost: &str, result: io::Result<T>) -> Option<T> {
    result.inspect_err(|error| judge.notice(Notice::NotEnforcing, &format!("{lost}: {error}"))).ok()
}
