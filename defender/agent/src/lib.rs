//! The Defender's parts; `main.rs` puts them together for each mode.
#![forbid(unsafe_code)]

pub mod config;
pub mod dns_proxy;
pub mod enforcement;
pub mod health;
pub mod judge;
pub mod link;
pub mod names;
pub mod recorder;
pub mod rules;
pub mod saying;
pub mod sidecar;
pub mod supervisor;
pub mod trial;
pub mod waas;
pub mod workload;
