//! The firewall around the engine: what a policy makes of one request and its response.
//!
//! A [`Firewall`] is a policy compiled with a [`Ruleset`]; it never changes and is shared by all connections. An [`Exchange`]
//! is one request with its response. Whoever moves the bytes calls it phase by phase and does what the [`Ruling`] says:
//! `request_head`, `request_body` (as often as there is something), `request_end`, `response_head`, `response_body`, and at last
//! [`Exchange::finish`], which gives what is to be told. What clients did before (bans, rates) lies in [`Standing`], one for all
//! containers of a task. The time comes in with each call that needs it.

mod access;
pub mod api;
pub mod bot;
mod client;
mod decision;
pub mod discovery;
mod dos;
mod endpoint;
mod exception;
mod exchange;
pub mod expression;
mod groups;
mod header;
mod leakage;
mod network;
mod page;
mod pattern;
mod place;
mod policy;
mod reading;
mod report;
mod response;
mod rules;
mod scrub;
mod session;
mod standing;
mod upload;

use std::{net::IpAddr, sync::Arc};

pub use self::{
    endpoint::{Endpoint, normal_path},
    exception::Exception,
    exchange::Exchange,
    groups::{Group, Groups, Protection},
    network::{Countries, Country, Networks},
    page::{BlockPage, EVENT_HEADER},
    policy::{Application, BodyInspection, Effect, Policy, PolicyError, Profile, TlsVersion},
    report::{Field, Report, Summary},
    scrub::Scrubber,
    session::Seal,
    standing::{Key, Standing, Who},
};
use crate::{http::Head, ruleset::Ruleset};

/// A policy, compiled.
#[derive(Debug)]
pub struct Firewall {
    ruleset: Arc<Ruleset>,
    policy: Policy,
}

/// Who sends a request, and where it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The connection's peer.
    pub peer: IpAddr,
    /// The port on which it was accepted.
    pub port: u16,
    /// True when the connection is encrypted.
    pub secure: bool,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Go on.
    Pass,
    /// Send this instead, and nothing to the application (or: nothing more of its response).
    Answer(Answer),
}

/// A response of the firewall's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its header fields, without `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// How a request's body has to reach the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeed {
    /// Not at all: nothing looks at it.
    Nothing,
    /// Hold so many bytes back until the exchange has passed them (or the body's end), then send on and show each further
    /// piece before it is sent.
    Held(usize),
}

/// The head of a response, which the firewall may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseHead {
    /// Its status.
    pub status: u16,
    /// Its header fields in order, names as the application wrote them.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Firewall {
    /// Compiles a policy.
    ///
    /// # Errors
    /// What in the policy means nothing.
    pub fn new(policy: Policy, ruleset: Arc<Ruleset>) -> Result<Self, PolicyError> {
        policy.check()?;
        Ok(Self { ruleset, policy })
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The application that a request comes to: the first one of which an endpoint takes it. One without endpoints takes all.
    fn application(&self, head: &Head, client: &Client, path: &[u8]) -> Option<&Application> {
        let host = endpoint::host(head);
        self.policy.applications.iter().find(|application| {
            let endpoints = &application.endpoints;
            endpoints.is_empty() || endpoints.iter().any(|endpoint| endpoint.takes(client, host, path))
        })
    }

    /// Begins with a request whose head is read. `now` is in milliseconds since 1970, of a clock that
    /// never goes back; `id` is the event
    /// number that a block page shows, unique for each request.
    #[must_use]
    pub fn open<'f>(
        &'f self,
        head: &'f Head,
        client: Client,
        standing: &'f Standing,
        now: u64,
        id: &'f str,
    ) -> Exchange<'f> {
        Exchange::new(self, &self.ruleset, head, client, standing, now, id)
    }
}
