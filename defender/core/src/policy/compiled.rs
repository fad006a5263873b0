//! A policy made ready for quick decisions.
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    net::IpAddr,
};

use super::{
    DefenderPolicy, DnsPolicy, Effect, FilePolicy, NetworkPolicy, PolicyError, PortRange, ProcessPolicy,
    globs::GlobSet,
    intervals::{AddressSet, Intervals},
    programs::ProgramList,
};
use crate::{Reason, address::AddressBlock, custom::CustomRules, detect, policy::CustomKind, reason::Section};

/// A policy made ready for quick decisions. The last good one is swapped in whole; nobody sees half of one.
#[derive(Debug, Clone, Default)]
pub struct CompiledPolicy {
    policy: DefenderPolicy,
    pub(crate) rule: Option<String>,
    pub(crate) processes: ProcessRules,
    pub(crate) dns: NameRules,
    pub(crate) network: NetworkRules,
    pub(crate) files: FileRules,
    pub(crate) detections: Detections,
    pub(crate) custom: CustomRules,
}

/// Lists for program starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessRules {
    pub(crate) effect: Effect,
    pub(crate) allow: ProgramList,
    pub(crate) deny: ProgramList,
}

/// Lists for look-ups; what they hold is in the form in which names are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameRules {
    pub(crate) effect: Effect,
    pub(crate) allow: GlobSet,
    pub(crate) deny: GlobSet,
}

/// Lists for connections and listening ports. Empty allow lists allow everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkRules {
    pub(crate) effect: Effect,
    pub(crate) allow_addresses: Option<AddressSet>,
    /// The allowed addresses that are entries of their own.
    pub(crate) allowed_alone: HashSet<IpAddr>,
    pub(crate) deny_addresses: AddressSet,
    pub(crate) allow_ports: Option<PortSet>,
    pub(crate) deny_ports: PortSet,
    pub(crate) allow_listen_ports: Option<PortSet>,
    pub(crate) deny_listen_ports: PortSet,
}

pub(crate) type PortSet = Intervals<u16>;

/// Lists for files.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileRules {
    pub(crate) effect: Effect,
    pub(crate) allow: PathList,
    pub(crate) deny: PathList,
}

/// Globs on absolute paths, which speak of everything beneath them too.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathList {
    /// Two globs for each entry: itself, and what is beneath it.
    globs: GlobSet,
}

/// The detections that are on and that one event is enough for, by what they judge; in each the strongest effect comes
/// first, then the highest severity, then the order of [`Reason`]. So the first that hits is the one that counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Detections {
    pub(crate) processes: Vec<(Reason, Effect)>,
    pub(crate) network: Vec<(Reason, Effect)>,
    pub(crate) files: Vec<(Reason, Effect)>,
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
            processes: ProcessRules::new(&policy.processes)?,
            dns: NameRules::new(&policy.dns),
            network: NetworkRules::new(&policy.network)?,
            files: FileRules::new(&policy.files),
            detections: Detections::new(&policy.detections),
            custom: CustomRules::new(&policy.custom)?,
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
        self.network.allow_addresses.as_ref().is_some_and(|set| set.first(address).is_some())
    }

    /// True when there are custom rules of this kind: only then is it worth while to find out what they ask for.
    #[must_use]
    pub fn has_custom(&self, kind: CustomKind) -> bool {
        self.source().custom.iter().any(|rule| rule.kind == kind)
    }

    /// True when program starts can only be judged with `sha256`, and for scripts and loaded programs with
    /// `facts.script_sha256` and `facts.loaded_sha256`.
    #[must_use]
    pub fn wants_hashes(&self) -> bool {
        let lists = &self.processes;
        let by_list = lists.effect != Effect::Disable && (lists.allow.has_digests() || lists.deny.has_digests());
        self.rule.is_some() && (by_list || self.custom.wants_hashes())
    }

    /// True when writes to files must be watched: there are lists, detections or custom rules for them.
    #[must_use]
    pub fn judges_files(&self) -> bool {
        let lists = &self.files;
        let by_list = lists.effect != Effect::Disable && !(lists.allow.is_empty() && lists.deny.is_empty());
        let by_detection = || Reason::ALL.iter().any(|&reason| reason.section() == Section::File && self.on(reason));
        self.rule.is_some() && (by_list || by_detection() || self.custom.judges(CustomKind::Filesystem))
    }

    /// True when a file may be kept from being written: something of what `judges_files` speaks of has the effect
    /// `prevent`.
    #[must_use]
    pub fn prevents_files(&self) -> bool {
        let lists = &self.files;
        let by_list = lists.effect == Effect::Prevent && !(lists.allow.is_empty() && lists.deny.is_empty());
        let prevented = |reason: Reason| reason.section() == Section::File && self.detection(reason) == Effect::Prevent;
        let by_detection = || Reason::ALL.iter().any(|&reason| prevented(reason));
        self.rule.is_some() && (by_list || by_detection() || self.custom.prevents(CustomKind::Filesystem))
    }

    /// True when something that a program does on the network may be refused: a list, a detection or a custom rule for it
    /// has the effect `prevent`.
    #[must_use]
    pub fn prevents_network(&self) -> bool {
        let (network, dns) = (&self.policy.network, &self.policy.dns);
        let places = !(network.allow_addresses.is_empty() && network.deny_addresses.is_empty());
        let ports = !(network.allow_ports.is_empty() && network.deny_ports.is_empty());
        let listening = !(network.allow_listen_ports.is_empty() && network.deny_listen_ports.is_empty());
        let by_list = network.effect == Effect::Prevent && (places || ports || listening);
        let by_name = dns.effect == Effect::Prevent && !(dns.allow.is_empty() && dns.deny.is_empty());
        let prevented =
            |reason: Reason| reason.section() == Section::Network && self.detection(reason) == Effect::Prevent;
        let by_detection = || Reason::ALL.iter().any(|&reason| prevented(reason));
        self.rule.is_some()
            && (by_list || by_name || by_detection() || self.custom.prevents(CustomKind::NetworkOutgoing))
    }

    /// True when listening ports must be watched.
    #[must_use]
    pub fn judges_listening(&self) -> bool {
        let listed =
            !(self.policy.network.allow_listen_ports.is_empty() && self.policy.network.deny_listen_ports.is_empty());
        self.rule.is_some() && self.network.effect != Effect::Disable && listed
    }

    /// True when a custom rule goes by the names that gave an address, so that [`crate::Context::names`] matters.
    #[must_use]
    pub fn wants_names(&self) -> bool {
        self.rule.is_some() && self.custom.wants_names()
    }

    /// The policy as it came.
    #[must_use]
    pub fn source(&self) -> &DefenderPolicy {
        &self.policy
    }

    fn on(&self, reason: Reason) -> bool {
        self.detection(reason) != Effect::Disable
    }
}

impl ProcessRules {
    fn new(policy: &ProcessPolicy) -> Result<Self, PolicyError> {
        let (allow, deny) = (ProgramList::new(&policy.allow)?, ProgramList::new(&policy.deny)?);
        Ok(Self { effect: policy.effect, allow, deny })
    }
}

impl NameRules {
    fn new(policy: &DnsPolicy) -> Self {
        let globs = |texts: &[String]| GlobSet::new(texts.iter().map(|text| normal_name(text)));
        Self { effect: policy.effect, allow: globs(&policy.allow), deny: globs(&policy.deny) }
    }
}

impl NetworkRules {
    fn new(policy: &NetworkPolicy) -> Result<Self, PolicyError> {
        Ok(Self {
            effect: policy.effect,
            allow_addresses: unless_empty(&policy.allow_addresses, |texts| blocks(texts).map(AddressSet::new))?,
            allowed_alone: blocks(&policy.allow_addresses)?
                .into_iter()
                .filter(|(first, last)| first == last)
                .map(|ends| ends.0)
                .collect(),
            deny_addresses: AddressSet::new(blocks(&policy.deny_addresses)?),
            allow_ports: unless_empty(&policy.allow_ports, ports)?,
            deny_ports: ports(&policy.deny_ports)?,
            allow_listen_ports: unless_empty(&policy.allow_listen_ports, ports)?,
            deny_listen_ports: ports(&policy.deny_listen_ports)?,
        })
    }
}

fn unless_empty<E, S>(entries: &[E], read: impl Fn(&[E]) -> Result<S, PolicyError>) -> Result<Option<S>, PolicyError> {
    if entries.is_empty() { Ok(None) } else { read(entries).map(Some) }
}

/// First and last addresses of the entries.
fn blocks(texts: &[String]) -> Result<Vec<(IpAddr, IpAddr)>, PolicyError> {
    let block = |text: &String| AddressBlock::parse(text).ok_or_else(|| PolicyError::Address(text.clone()));
    texts.iter().map(|text| Ok(block(text)?.ends())).collect()
}

fn ports(ranges: &[PortRange]) -> Result<PortSet, PolicyError> {
    match ranges.iter().find(|range| range.end < range.start) {
        Some(range) => Err(PolicyError::Ports(range.start, range.end)),
        None => Ok(Intervals::new((0..).zip(ranges).map(|(index, range)| (range.start, range.end, index)))),
    }
}

impl FileRules {
    fn new(policy: &FilePolicy) -> Self {
        Self { effect: policy.effect, allow: PathList::new(&policy.allow), deny: PathList::new(&policy.deny) }
    }
}

impl PathList {
    fn new(entries: &[String]) -> Self {
        let globs = entries.iter().map(|entry| entry.strip_suffix('/').unwrap_or(entry));
        Self { globs: GlobSet::new(globs.flat_map(|entry| [entry.to_owned(), format!("{entry}/*")])) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    /// The place of the first entry that is the path, or that it is beneath of.
    pub(crate) fn first(&self, path: &str) -> Option<usize> {
        self.globs.first(path).map(|place| place / 2)
    }

    /// True when the path itself is written out as an entry.
    pub(crate) fn names(&self, path: &str) -> bool {
        self.globs.names(path)
    }
}

impl Detections {
    fn new(effects: &BTreeMap<Reason, Effect>) -> Self {
        let of = |judges: fn(Reason) -> bool| {
            let on = effects.iter().map(|(&reason, &effect)| (reason, effect));
            let mut on: Vec<_> = on.filter(|&(reason, effect)| effect != Effect::Disable && judges(reason)).collect();
            on.sort_by_key(|&(reason, effect)| Reverse((effect, reason.severity(), Reverse(reason))));
            on
        };
        Self {
            processes: of(detect::judges_program_start),
            network: of(detect::judges_destination),
            files: of(detect::judges_path),
        }
    }
}

/// Names are compared in lower case and without the root's dot (RFC 4343).
pub(crate) fn normal_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
