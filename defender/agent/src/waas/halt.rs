//! Why an exchange does not go on, and what the client is told.

use defender_waf::firewall::Answer;

use super::response::BadResponse;

/// Why an exchange does not go on.
#[derive(Debug)]
pub enum Halt {
    /// The firewall answers.
    Blocked(Answer),
    /// The request is no HTTP that can be passed on: a status, and why.
    Refused(u16, String),
    /// The client did not send the rest of its request in time.
    Slow,
    /// The client is gone, or takes nothing any more.
    Gone,
    /// Too many bodies are held back.
    Crowded,
    /// There is no policy, and none may pass without.
    Unprotected,
    /// The application is not there.
    Unreachable(String),
    /// The application does not answer in time.
    Silent(String),
    /// The application's answer is no HTTP that can be passed on.
    BadResponse(BadResponse),
    /// The application closed the connection before it answered.
    Broken(&'static str),
    /// A kept connection was closed before the request arrived whole; so many bytes of it were sent.
    Stale(usize),
}

impl Halt {
    /// What the client is told, unless it is gone.
    #[must_use]
    pub fn answer(self) -> Option<Answer> {
        let status = match self {
            Self::Blocked(answer) => return Some(answer),
            Self::Gone => return None,
            Self::Refused(status, _) => status,
            Self::Slow => 408,
            Self::Unprotected | Self::Crowded => 503,
            Self::Unreachable(_) | Self::BadResponse(_) | Self::Broken(_) | Self::Stale(_) => 502,
            Self::Silent(_) => 504,
        };
        Some(plain(status))
    }

    /// What the operator is told; nothing where the client is to blame.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Unreachable(reason) | Self::Silent(reason) => Some(reason.clone()),
            Self::BadResponse(bad) => Some(bad.to_string()),
            Self::Broken(reason) => Some((*reason).to_owned()),
            Self::Stale(_) => Some("the application closed the connection before it answered".into()),
            Self::Crowded => Some("a request was refused: too many bodies are held back".into()),
            Self::Unprotected => Some("a request was refused: there is no WAAS policy yet".into()),
            Self::Blocked(_) | Self::Refused(..) | Self::Slow | Self::Gone => None,
        }
    }
}

/// A response that says no more than its status.
#[must_use]
pub fn plain(status: u16) -> Answer {
    let headers = vec![("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    Answer { status, headers, body: format!("{status}\n").into_bytes() }
}
