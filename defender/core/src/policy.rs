//! The policy of one workload, as the Console resolved it (`contract/defender-policy.schema.json`).
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What happens to a violation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing is judged.
    #[default]
    Disable,
    /// It happens, and is reported.
    Alert,
    /// It does not happen, and is reported.
    Prevent,
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
    pub rule: Option<String>,
    /// Program starts.
    pub processes: ProcessPolicy,
    /// Look-ups.
    pub dns: DnsPolicy,
    /// Connections.
    pub network: NetworkPolicy,
}

/// Lists for program starts: entries without `/` are globs on names, with `/` globs on paths.
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
}

/// A policy made ready for quick decisions. The last good one is swapped in whole; nobody sees half of one.
#[derive(Debug, Clone, Default)]
pub struct CompiledPolicy {
    pub(crate) policy: DefenderPolicy,
}

impl CompiledPolicy {
    /// Checks and prepares a policy.
    ///
    /// # Errors
    /// [`PolicyError`] when the policy cannot be understood whole; it must then not be applied at all.
    pub fn new(policy: DefenderPolicy) -> Result<Self, PolicyError> {
        if policy.version != 1 {
            return Err(PolicyError::Version(policy.version));
        }
        Ok(Self { policy })
    }

    /// The policy as it came.
    #[must_use]
    pub fn source(&self) -> &DefenderPolicy {
        &self.policy
    }
}
