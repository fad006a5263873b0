//! The HTTP inspection engine: `SecLang` rules and a request go in, what the rules say of it comes out.
//!
//! Nothing here reads a file, a socket, the environment or a clock. Bytes stay bytes: HTTP is not text, and an attack
//! that is invalid UTF-8 is still an attack.
//!
//! The way of the data: [`seclang`] reads rules into [`rule`]s, a [`Ruleset`] is those rules checked and ordered by phase;
//! [`http`] reads a request's head, [`body`] its body, both into one [`Request`]; the [`engine`] judges the request's
//! values by the ruleset with [`operator`]s and [`transformation`]s, and gives [`Finding`]s and a [`Verdict`].
#![forbid(unsafe_code)]
// Captures are lists of ranges, often of one; texts are built from pieces only while rules are compiled.
#![allow(clippy::single_range_in_vec_init, clippy::format_push_string)]

pub mod body;
pub mod engine;
pub mod firewall;
pub mod http;
pub mod inspection;
pub mod operator;
pub mod pack;
pub mod prefilter;
pub mod rule;
pub mod ruleset;
pub mod seclang;
mod template;
pub mod transformation;
pub mod value;

pub use engine::{Finding, Transaction, Verdict};
pub use ruleset::Ruleset;
pub use value::{Collection, Request, Response, Value};
