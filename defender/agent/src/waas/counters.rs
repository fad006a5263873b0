//! What went through, for the Console's connectivity view.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

/// Errors that are remembered.
const MOST_ERRORS: usize = 20;
/// Characters of one.
const LONGEST_ERROR: usize = 300;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests whose head was read, or refused.
    pub requests: Count,
    /// Of them, those that reached the application.
    pub forwarded: Count,
    /// Of them, those that the firewall answered.
    pub blocked: Count,
    /// Heads, chunks and frames that are no HTTP.
    pub parse_errors: Count,
    /// Clients and applications that took too long.
    pub timeouts: Count,
    /// Bodies larger than what is inspected as a whole.
    pub inspection_limit: Count,
    /// Connections that were not taken, or closed, because there were too many.
    pub refused_connections: Count,
    /// Connections that are open now.
    pub connections: Count,
    /// Reports for which there was no room.
    pub dropped: Count,
    /// Responses by the first digit of their status.
    statuses: [Count; 5],
    errors: Mutex<VecDeque<(u64, String)>>,
}

/// A number that only counts.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn subtract(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// A response of this status was sent.
    pub fn answered(&self, status: u16) {
        if let Some(class) = usize::from(status / 100).checked_sub(1).and_then(|class| self.statuses.get(class)) {
            class.add();
        }
    }

    /// Something went wrong at `now` (unix milliseconds). It must show nothing of a request.
    pub fn failed(&self, now: u64, error: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() == MOST_ERRORS {
            errors.pop_front();
        }
        errors.push_back((now, error.chars().take(LONGEST_ERROR).collect()));
    }

    /// All of it, as it travels.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let errors: Vec<Value> = errors.iter().map(|(time, error)| json!({"time": time, "error": error})).collect();
        let [informational, success, redirect, client, server] = &self.statuses;
        json!({
            "requests": self.requests.get(),
            "forwarded": self.forwarded.get(),
            "blocked": self.blocked.get(),
            "parseErrors": self.parse_errors.get(),
            "timeouts": self.timeouts.get(),
            "inspectionLimitExceeded": self.inspection_limit.get(),
            "refusedConnections": self.refused_connections.get(),
            "connections": self.connections.get(),
            "droppedReports": self.dropped.get(),
            "statuses": {
                "1xx": informational.get(),
                "2xx": success.get(),
                "3xx": redirect.get(),
                "4xx": client.get(),
                "5xx": server.get(),
            },
            "errors": errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oldest errors make room, and statuses count by class.
    #[test]
    fn counts_are_kept() {
        let counters = Counters::default();
        for number in 0..25 {
            counters.failed(number, "a");
        }
        for status in [200, 204, 502, 999, 0] {
            counters.answered(status);
        }

        let shown = counters.to_json();
        assert_eq!(
            (shown["errors"][0]["time"].as_u64(), shown["errors"].as_array().map(Vec::len)),
            (Some(5), Some(20))
        );
        assert_eq!((shown["statuses"]["2xx"].as_u64(), shown["statuses"]["5xx"].as_u64()), (Some(2), Some(1)));
    }
}
