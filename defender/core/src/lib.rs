//! The pure part of the Defender: policy, decisions, messages.
//!
//! Nothing here reads a file, a socket, the environment or a clock. Whatever is needed comes in as a value, and
//! every effect goes out as one: an [`Event`] and a [`CompiledPolicy`] make a [`Decision`].
#![forbid(unsafe_code)]

mod address;
mod audit;
mod backoff;
mod bounds;
pub mod content;
mod custom;
mod decide;
mod detect;
pub mod dns;
mod event;
mod glob;
pub mod message;
mod names;
mod observe;
mod policy;
mod program;
mod reason;
mod recorder;
mod repeats;
mod scans;
mod scrub;
mod session;
mod spool;
mod table;

pub use audit::{Ancestor, Audit, AuditDraft, Reason};
pub use backoff::Backoff;
pub use bounds::is_hex;
pub use custom::{ScriptError, check_script};
pub use decide::{Context, Decision, Violation, decide, decide_in, detected};
pub use event::{
    Change, ConnectionEvent, DefenderEvent, Event, FileEvent, FileOperation, ListenEvent, LookupEvent, Notice, Origin,
    ProcessEvent, ProcessFacts, Protocol, RequestEvent, RequestField,
};
pub use names::{Known, NameTable, Standing, standing};
pub use observe::{Observations, Observed, ObservedKind};
pub use policy::{
    CompiledPolicy, CustomEffect, CustomKind, CustomRule, DefenderPolicy, DnsPolicy, Effect, FilePolicy, NetworkPolicy,
    PolicyError, PortRange, ProcessPolicy,
};
pub use reason::{Section, Severity};
pub use recorder::{Chunk, Judged, Recorded, Recorder};
pub use repeats::{Counted, Repeats};
pub use scans::{Scan, ScanCounter, Tried};
pub use scrub::scrub;
pub use session::Session;
pub use spool::{Spool, encoded_size};
pub use table::TcpRow;
