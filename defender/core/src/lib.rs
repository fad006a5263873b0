//! The pure part of the Defender: policy, decisions, messages.
//!
//! Nothing here reads a file, a socket, the environment or a clock. Whatever is needed comes in as a value, and
//! every effect goes out as one: an [`Event`] and a [`CompiledPolicy`] make a [`Decision`].
#![forbid(unsafe_code)]

mod address;
mod audit;
mod backoff;
mod bounds;
mod decide;
pub mod dns;
mod event;
mod glob;
pub mod message;
mod observe;
mod policy;
mod recorder;
mod scrub;
mod session;
mod spool;

pub use audit::{Ancestor, Audit, AuditDraft, Reason};
pub use backoff::Backoff;
pub use bounds::is_hex;
pub use decide::{Decision, Violation, decide};
pub use event::{
    Change, ConnectionEvent, DefenderEvent, Event, FileEvent, FileOperation, ListenEvent, LookupEvent, Notice, Origin,
    ProcessEvent, ProcessFacts, Protocol,
};
pub use observe::{Observations, Observed, ObservedKind};
pub use policy::{
    CompiledPolicy, CustomEffect, CustomKind, CustomRule, DefenderPolicy, DnsPolicy, Effect, FilePolicy, NetworkPolicy,
    PolicyError, PortRange, ProcessPolicy,
};
pub use recorder::{Chunk, Judged, Recorded, Recorder};
pub use scrub::scrub;
pub use session::Session;
pub use spool::{Spool, encoded_size};
