//! The Defender's end of one connection on `/channel`, without the connection.
//!
//! The Defender says hello first and nothing else before the Console's welcome. Then audits go out in batches, a few at a
//! time (the next one only when the oldest is acknowledged), and the state of the workloads whenever it has changed, at
//! most once a second. What the Console says comes out as [`Step`]s for the agent to take. On the next connection there is
//! a new session: [`Spools::rewind`] makes everything that is not committed go out again.
use std::collections::VecDeque;

use crate::{
    Instance, MOST_AUDITS, Spools,
    message::{ConsoleMessage, DefenderMessage, ErrorCode, Hello, WorkloadPolicy, WorkloadStatus},
};

/// Batches under way at once: enough to fill the line, few enough that the Console's patience is not tried.
const MOST_IN_FLIGHT: usize = 4;
/// Between two reports of the workloads' state, in milliseconds.
const STATUS_PACE: u64 = 1000;

/// What the agent has to do about a message of the Console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The session is open. Pings are due this often, and the link is good.
    Open {
        /// Seconds between pings.
        heartbeat_seconds: u64,
    },
    /// Put these policies in force.
    Apply(Vec<WorkloadPolicy>),
    /// The Console has the audits of a source up to here.
    Committed {
        /// Whose.
        source: Instance,
        /// Up to here.
        committed: u64,
    },
    /// Here is the next certificate.
    Renewed {
        /// PEM.
        certificate: String,
        /// Its end, unix milliseconds.
        not_after: u64,
    },
    /// The connection is over, for this reason.
    End {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Seconds, not sooner.
        retry_after: Option<u64>,
    },
    /// Nothing.
    Ignore,
}

/// One connection's state.
#[derive(Debug)]
pub struct Session {
    open: bool,
    most: usize,
    in_flight: VecDeque<(Instance, u64)>,
    reported: Option<(u64, Vec<WorkloadStatus>)>,
}

impl Session {
    /// A new connection: the session and the message to send first. What was under way on an older one starts over.
    #[must_use]
    pub fn begin(hello: Hello, spools: &mut Spools) -> (Self, DefenderMessage) {
        spools.rewind();
        let session = Self { open: false, most: MOST_AUDITS, in_flight: VecDeque::new(), reported: None };
        (session, DefenderMessage::Hello(hello))
    }

    /// Takes a message of the Console.
    pub fn receive(&mut self, message: ConsoleMessage) -> Step {
        match message {
            ConsoleMessage::Welcome { heartbeat_seconds, max_batch, .. } => {
                self.open = true;
                self.most = max_batch.clamp(1, MOST_AUDITS);
                Step::Open { heartbeat_seconds: heartbeat_seconds.clamp(1, 3600) }
            }
            ConsoleMessage::Policies { policies, .. } => Step::Apply(policies),
            ConsoleMessage::Ack { source, committed } => {
                self.in_flight.retain(|(id, last)| *id != source || *last > committed);
                Step::Committed { source, committed }
            }
            ConsoleMessage::Renewed { certificate, not_after } => Step::Renewed { certificate, not_after },
            ConsoleMessage::Error { code, message, retry_after_seconds } => {
                Step::End { code, message, retry_after: retry_after_seconds }
            }
            // The answer to an enrolment has no place here.
            ConsoleMessage::Enrolled { .. } => Step::Ignore,
        }
    }

    /// The next message to send; none when there is nothing to say now. `now` is in milliseconds of any clock.
    pub fn next_message(
        &mut self,
        now: u64,
        spools: &mut Spools,
        status: &[WorkloadStatus],
    ) -> Option<DefenderMessage> {
        if !self.open {
            return None;
        }
        if self.status_is_due(now, status) {
            self.reported = Some((now, status.to_vec()));
            return Some(DefenderMessage::Status { workloads: status.to_vec() });
        }
        if self.in_flight.len() >= MOST_IN_FLIGHT {
            return None;
        }
        let batch = spools.next_batch(self.most)?;
        let last = batch.audits.last().map_or(0, |audit| audit.seq);
        self.in_flight.push_back((batch.source.clone(), last));
        Some(DefenderMessage::Audits(batch))
    }

    /// True when the welcome has come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    fn status_is_due(&self, now: u64, status: &[WorkloadStatus]) -> bool {
        self.reported
            .as_ref()
            .is_none_or(|(when, last)| last.as_slice() != status && now.saturating_sub(*when) >= STATUS_PACE)
    }
}

#[cfg(test)]
mod tests;
