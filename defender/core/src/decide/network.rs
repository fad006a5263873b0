//! Connections and listening ports.
use std::net::IpAddr;

use super::{Objection, strongest};
use crate::{
    CompiledPolicy, ConnectionEvent, Effect, ListenEvent, PortRange, Protocol, Reason,
    address::effective,
    detect,
    policy::{AddressSet, NetworkRules},
};

pub(super) fn judge_connection(policy: &CompiledPolicy, connection: &ConnectionEvent) -> Option<Objection> {
    let (address, port) = (effective(connection.address), connection.port);
    // The unspecified address reaches loopback, so an entry for either speaks of it.
    let addresses = [address, connection.address.to_canonical()];
    let on = policy.network.effect != Effect::Disable;
    let denied = on.then(|| denied(policy, addresses, port)).flatten();
    let detected = || {
        let hit = |&(reason, effect): &(Reason, Effect)| {
            let mark = detect::destination(reason, address, connection)?;
            // Who writes out the one address expects it to be reached, whatever it is known for.
            (!(on && policy.network.allowed_alone.contains(&address)))
                .then(|| Objection::new(effect, reason, Some(mark)))
        };
        policy.detections.network.iter().find_map(hit)
    };
    // Loopback stays in the task, and our own proxy judges what goes to a resolver.
    let exempt = !on || address.is_loopback() || connection.resolver;
    let unlisted = || if exempt { None } else { unlisted(&policy.network, address, port) };
    strongest(denied, [&detected, &unlisted])
}

fn denied(policy: &CompiledPolicy, addresses: [IpAddr; 2], port: u16) -> Option<Objection> {
    let (rules, source) = (&policy.network, &policy.source().network);
    let by_address = || {
        let place = addresses.into_iter().filter_map(|address| rules.deny_addresses.first(address)).min()?;
        let entry = &source.deny_addresses[place as usize];
        Some(Objection::new(rules.effect, Reason::DeniedAddress, Some(entry)))
    };
    let by_port = || {
        let range = source.deny_ports[rules.deny_ports.first(port)? as usize].to_string();
        Some(Objection::new(rules.effect, Reason::DeniedPort, Some(&range)))
    };
    by_address().or_else(by_port)
}

fn unlisted(rules: &NetworkRules, address: IpAddr, port: u16) -> Option<Objection> {
    let reason = if rules.allow_addresses.as_ref().is_some_and(|set| set.first(address).is_none()) {
        Reason::AddressNotAllowed
    } else if rules.allow_ports.as_ref().is_some_and(|set| set.first(port).is_none()) {
        Reason::PortNotAllowed
    } else {
        return None;
    };
    Some(Objection::new(rules.effect, reason, None))
}

/// True when there is an allow list of addresses, and it holds the destination.
pub(super) fn allows(policy: &CompiledPolicy, connection: &ConnectionEvent) -> bool {
    let listed = |set: &AddressSet| set.first(effective(connection.address)).is_some();
    policy.network.effect != Effect::Disable && policy.network.allow_addresses.as_ref().is_some_and(listed)
}

/// Listening on loopback is exempt from the allow list, since nobody reaches it from outside; so is a port for datagrams
/// that the kernel chooses, since that is how clients bind.
pub(super) fn judge_listen(policy: &CompiledPolicy, listen: &ListenEvent) -> Option<Objection> {
    let rules = &policy.network;
    if rules.effect == Effect::Disable {
        return None;
    }
    let exempt = listen.address.to_canonical().is_loopback() || (listen.protocol == Protocol::Udp && listen.port == 0);
    if let Some(place) = rules.deny_listen_ports.first(listen.port) {
        let range = policy.source().network.deny_listen_ports[place as usize].to_string();
        return Some(Objection::new(rules.effect, Reason::DeniedListenPort, Some(&range)));
    }
    let unlisted = !exempt && rules.allow_listen_ports.as_ref().is_some_and(|set| set.first(listen.port).is_none());
    unlisted.then(|| Objection::new(rules.effect, Reason::ListenPortNotAllowed, None))
}

impl std::fmt::Display for PortRange {
    /// One port as itself, more as `start-end`: the way `matched` names an entry of a list of ports.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.start == self.end {
            write!(formatter, "{}", self.start)
        } else {
            write!(formatter, "{}-{}", self.start, self.end)
        }
    }
}
