//! The policy of one workload, as the Console resolved it (`contract/defender-policy.schema.json`).
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Reason, address::AddressBlock, bounds};

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
}

/// A policy made ready for quick decisions. The last good one is swapped in whole; nobody sees half of one.
#[derive(Debug, Clone, Default)]
pub struct CompiledPolicy {
    policy: DefenderPolicy,
    pub(crate) rule: Option<String>,
    pub(crate) processes: ProcessRules,
    pub(crate) dns: NameRules,
    pub(crate) network: NetworkRules,
}

/// Lists for program starts, by what they are matched with.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessRules {
    pub(crate) effect: Effect,
    pub(crate) allow: ProgramList,
    pub(crate) deny: ProgramList,
}

/// Entries without `/` name programs, the others are globs on absolute paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgramList {
    pub(crate) names: Vec<String>,
    pub(crate) paths: Vec<String>,
}

/// Lists for look-ups: each entry as it came, and as it is matched.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameRules {
    pub(crate) effect: Effect,
    pub(crate) allow: Vec<NameEntry>,
    pub(crate) deny: Vec<NameEntry>,
}

/// One glob on names.
#[derive(Debug, Clone)]
pub(crate) struct NameEntry {
    pub(crate) text: String,
    pub(crate) glob: String,
}

/// Lists for connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkRules {
    pub(crate) effect: Effect,
    pub(crate) allow_addresses: Vec<AddressBlock>,
    pub(crate) deny_addresses: Vec<(String, AddressBlock)>,
    pub(crate) allow_ports: Vec<PortRange>,
    pub(crate) deny_ports: Vec<PortRange>,
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
        Ok(Self {
            rule: policy.rule.clone(),
            processes: ProcessRules::new(&policy.processes),
            dns: NameRules::new(&policy.dns),
            network: NetworkRules::new(&policy.network)?,
            policy,
        })
    }

    /// What happens to what a detection finds.
    #[must_use]
    pub fn detection(&self, reason: Reason) -> Effect {
        if self.rule.is_none() {
            return Effect::Disable;
        }
        self.policy.detections.get(&reason).copied().unwrap_or_default()
    }

    /// True when the allow list of addresses holds `address`, whatever the section's effect is.
    #[must_use]
    pub fn lists_address(&self, address: std::net::IpAddr) -> bool {
        self.network.allow_addresses.iter().any(|block| block.contains(address))
    }

    /// The policy as it came.
    #[must_use]
    pub fn source(&self) -> &DefenderPolicy {
        &self.policy
    }
}

impl ProcessRules {
    fn new(policy: &ProcessPolicy) -> Self {
        Self { effect: policy.effect, allow: ProgramList::new(&policy.allow), deny: ProgramList::new(&policy.deny) }
    }
}

impl ProgramList {
    fn new(entries: &[String]) -> Self {
        let (paths, names) = entries.iter().cloned().partition(|entry| entry.contains('/'));
        Self { names, paths }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }
}

impl NameRules {
    fn new(policy: &DnsPolicy) -> Self {
        let entries = |texts: &[String]| {
            texts.iter().map(|text| NameEntry { text: text.clone(), glob: normal_name(text) }).collect()
        };
        Self { effect: policy.effect, allow: entries(&policy.allow), deny: entries(&policy.deny) }
    }
}

impl NetworkRules {
    fn new(policy: &NetworkPolicy) -> Result<Self, PolicyError> {
        let blocks = |texts: &[String]| {
            let block = |text: &String| {
                let block = AddressBlock::parse(text).ok_or_else(|| PolicyError::Address(text.clone()))?;
                Ok((text.clone(), block))
            };
            texts.iter().map(block).collect::<Result<Vec<_>, _>>()
        };
        if let Some(range) = policy.allow_ports.iter().chain(&policy.deny_ports).find(|range| range.end < range.start) {
            return Err(PolicyError::Ports(range.start, range.end));
        }
        Ok(Self {
            effect: policy.effect,
            allow_addresses: blocks(&policy.allow_addresses)?.into_iter().map(|(_, block)| block).collect(),
            deny_addresses: blocks(&policy.deny_addresses)?,
            allow_ports: policy.allow_ports.clone(),
            deny_ports: policy.deny_ports.clone(),
        })
    }
}

/// What a policy does not speak of is left out, so that it reads as its user wrote it.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Names are compared in lower case and without the root's dot (RFC 4343).
pub(crate) fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
