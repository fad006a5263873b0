//! The policy of one workload, as the Console resolved it (`contract/defender-policy.schema.json`).
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Reason, ScriptError, bounds};

mod compiled;
mod globs;
mod intervals;
mod programs;

pub use compiled::CompiledPolicy;
pub(crate) use compiled::{NameRules, NetworkRules, normal_name};
pub(crate) use intervals::AddressSet;
pub(crate) use programs::{Grant, base_name};

/// What happens to a violation, the strongest last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing is judged.
    #[default]
    Disable,
    /// It is let through because a rule of the firewall says so, and is reported; of no other policy.
    #[serde(skip_deserializing)]
    Allow,
    /// It happens, and is reported.
    Alert,
    /// It does not happen, and is reported.
    Prevent,
    /// It does not happen, nor does anything else of the same client for a while; of the firewall's policy alone.
    #[serde(skip_deserializing)]
    Ban,
}

/// The policy of one workload. At most one rule applies to a workload, so there is no rule list here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefenderPolicy {
    /// Schema version; this code reads 1.
    pub version: u32,
    /// The Console's policy revision, monotone.
    pub revision: u64,
    /// Name of the rule that applies; none means that nothing is judged.
    #[serde(deserialize_with = "bounds::nullable")]
    pub rule: Option<String>,
    /// Program starts.
    pub processes: ProcessPolicy,
    /// Look-ups.
    pub dns: DnsPolicy,
    /// Connections and listening ports.
    pub network: NetworkPolicy,
    /// Writes to files.
    #[serde(default, skip_serializing_if = "is_default")]
    pub files: FilePolicy,
    /// What happens to what a detection finds; those not named are off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detections: BTreeMap<Reason, Effect>,
    /// Custom rules, tried in this order before everything else.
    #[serde(default, skip_serializing_if = "is_default")]
    pub custom: Vec<CustomRule>,
}

/// Lists for program starts: entries that start with `sha256:` name a content by its 64 hexadecimal digits, others with
/// `/` are globs on paths, the rest globs on names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessPolicy {
    /// What happens to a violation.
    pub effect: Effect,
    /// If not empty, everything else is a violation.
    pub allow: Vec<String>,
    /// Always a violation.
    pub deny: Vec<String>,
}

/// Lists for look-ups: globs on names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsPolicy {
    /// What happens to a violation.
    pub effect: Effect,
    /// If not empty, everything else is a violation.
    pub allow: Vec<String>,
    /// Always a violation.
    pub deny: Vec<String>,
}

/// Lists for connections: CIDR blocks and port ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// What happens to a violation.
    pub effect: Effect,
    /// If not empty, every other destination is a violation.
    pub allow_addresses: Vec<String>,
    /// Always a violation.
    pub deny_addresses: Vec<String>,
    /// If not empty, every other port is a violation.
    pub allow_ports: Vec<PortRange>,
    /// Always a violation.
    pub deny_ports: Vec<PortRange>,
    /// If not empty, listening on every other port is a violation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_listen_ports: Vec<PortRange>,
    /// Listening on them is always a violation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deny_listen_ports: Vec<PortRange>,
    /// True when the detection `unresolvedAddress` also speaks of private addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unresolved_private: bool,
}

/// Lists for writes to files: globs on absolute paths; an entry also speaks of everything beneath it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePolicy {
    /// What happens to a violation.
    pub effect: Effect,
    /// If not empty, every other path is a violation.
    pub allow: Vec<String>,
    /// Always a violation.
    pub deny: Vec<String>,
}

/// One custom rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomRule {
    /// Its name, for audits.
    pub name: String,
    /// What it is about.
    pub kind: CustomKind,
    /// Its condition, in the grammar of `docs/reference`.
    pub script: String,
    /// What happens when it matches: `allow` ends the judging in favour of the event.
    pub effect: CustomEffect,
}

/// What a custom rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustomKind {
    /// Program starts.
    Processes,
    /// Writes to files.
    Filesystem,
    /// Connections.
    NetworkOutgoing,
}

/// What happens when a custom rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CustomEffect {
    /// It happens, and nothing else is asked.
    Allow,
    /// It happens, and is reported.
    Alert,
    /// It does not happen, and is reported.
    Prevent,
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    /// First port.
    pub start: u16,
    /// Last port.
    pub end: u16,
}

/// Why a policy from the Console was refused; the last good one stays in force.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// A version that this Defender does not read.
    #[error("policy version `{0}` is not supported, only 1 is")]
    Version(u32),
    /// An address entry that is no address and no CIDR block.
    #[error("`{0}` is not an IP address or a CIDR block")]
    Address(String),
    /// A port range whose end comes before its start.
    #[error("port range `{0}` to `{1}` ends before it starts")]
    Ports(u16, u16),
    /// An entry `sha256:` that names no SHA-256.
    #[error("`{0}` is not `sha256:` and 64 hexadecimal digits")]
    Digest(String),
    /// A custom rule whose script cannot be understood.
    #[error("custom rule `{rule}`: {error}")]
    Script {
        /// Name of the rule.
        rule: String,
        /// What is wrong, and where.
        error: ScriptError,
    },
}

/// What a policy does not speak of is left out, so that it reads as its user wrote it.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
