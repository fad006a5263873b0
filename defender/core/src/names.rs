//! Which names gave an address: what makes a rule on a name govern connections to its addresses too.
use std::{collections::HashMap, net::IpAddr};

use crate::{CompiledPolicy, Decision, Event, LookupEvent, address::effective, decide};

/// Addresses remembered, and names for each: a workload that looks up more makes the oldest be forgotten.
const MOST_ADDRESSES: usize = 4096;
const MOST_NAMES: usize = 8;
/// Programs keep addresses longer than they may (connection pools, nginx, Java), so for this long after its time, in
/// milliseconds, an address is still that of its name. Each use begins it anew.
const GRACE: u64 = 3_600_000;
/// No answer binds longer than a day.
const LONGEST: u64 = 86_400_000;

/// A name that gave an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The name, lower-case, without trailing dot.
    pub name: String,
    /// True when one of the resolvers said so that the workload was started with: what another one says cannot make an
    /// address an allowed one.
    pub trusted: bool,
    until: u64,
}

/// Addresses and the names that gave them. Times are milliseconds of any clock that only goes forward.
#[derive(Debug, Default)]
pub struct NameTable(HashMap<IpAddr, Vec<Known>>);

impl NameTable {
    /// Remembers that `name` has `address` for `seconds`.
    pub fn learn(&mut self, address: IpAddr, name: &str, seconds: u32, trusted: bool, now: u64) {
        let address = effective(address);
        if self.0.len() >= MOST_ADDRESSES && !self.0.contains_key(&address) {
            self.make_room(now);
        }
        let until = now.saturating_add((u64::from(seconds) * 1000).min(LONGEST)).saturating_add(GRACE);
        let names = self.0.entry(address).or_default();
        if let Some(known) = names.iter_mut().find(|known| known.name == name && known.trusted == trusted) {
            known.until = known.until.max(until);
            return;
        }
        if names.len() >= MOST_NAMES {
            let oldest = names.iter().enumerate().min_by_key(|(_, known)| known.until).map_or(0, |(index, _)| index);
            names.remove(oldest);
        }
        names.push(Known { name: name.to_owned(), trusted, until });
    }

    /// The names that gave `address`, the latest first. Asking is using: they last a grace longer.
    pub fn names_of(&mut self, address: IpAddr, now: u64) -> Vec<Known> {
        let Some(names) = self.0.get_mut(&effective(address)) else { return Vec::new() };
        names.retain(|known| known.until > now);
        for known in names.iter_mut() {
            known.until = known.until.max(now.saturating_add(GRACE));
        }
        names.iter().rev().cloned().collect()
    }

    /// True when nothing was learnt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what is over and, if that is not enough, an eighth of the rest, the oldest first: a storm of new addresses
    /// pays for looking through the table only now and then.
    fn make_room(&mut self, now: u64) {
        let last = |names: &Vec<Known>| names.iter().map(|known| known.until).max().unwrap_or(0);
        self.0.retain(|_, names| last(names) > now);
        if self.0.len() < MOST_ADDRESSES {
            return;
        }
        let mut ends: Vec<(u64, IpAddr)> = self.0.iter().map(|(address, names)| (last(names), *address)).collect();
        let (oldest, ..) = ends.select_nth_unstable(MOST_ADDRESSES / 8);
        for (_, address) in oldest {
            self.0.remove(address);
        }
    }
}

/// What the names of an address say about a connection to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A name that may be looked up gave it.
    Allowed,
    /// No name that may be looked up gave it, and this is what the policy says of one that did.
    Denied(Decision),
    /// No name that counts gave it.
    Unknown,
}

/// Judges an address by its names. An address that an allowed and a denied name share (a load balancer, a content
/// network) is an allowed one: whoever may reach the allowed name may reach its addresses.
#[must_use]
pub fn standing(policy: &CompiledPolicy, names: &[Known]) -> Standing {
    let mut denied = None;
    for known in names {
        let name = known.name.clone();
        let lookup = LookupEvent { name, record_type: String::from("A"), pid: 0, path: String::new() };
        match decide(policy, &Event::Lookup(lookup)) {
            Decision::Allow if known.trusted => return Standing::Allowed,
            Decision::Allow => {}
            objection => denied = denied.or(Some(objection)),
        }
    }
    denied.map_or(Standing::Unknown, Standing::Denied)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DefenderPolicy, DnsPolicy, Effect, Reason};

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn denying(name: &str) -> CompiledPolicy {
        CompiledPolicy::new(DefenderPolicy {
            version: 1,
            rule: Some("r".into()),
            dns: DnsPolicy { effect: Effect::Prevent, allow: vec![], deny: vec![name.into()] },
            ..DefenderPolicy::default()
        })
        .unwrap()
    }

    fn table(entries: &[(&str, &str, bool)]) -> NameTable {
        let mut table = NameTable::default();
        for (place, name, trusted) in entries {
            table.learn(address(place), name, 60, *trusted, 0);
        }
        table
    }

    /// An address that only a denied name gave is judged as that name.
    #[test]
    fn an_address_stands_for_its_denied_name() {
        let names = table(&[("192.0.2.1", "a.evil.test", true)]).names_of(address("::ffff:192.0.2.1"), 1);

        let Standing::Denied(Decision::Prevent(violation)) = standing(&denying("*.evil.test"), &names) else {
            panic!("it must be denied");
        };
        assert_eq!((violation.reason, violation.matched.as_deref()), (Reason::DeniedName, Some("*.evil.test")));
    }

    /// An address that an allowed name shares is allowed.
    #[test]
    fn a_shared_address_is_allowed() {
        let entries = [("192.0.2.1", "a.evil.test", true), ("192.0.2.1", "shop.test", true)];
        let names = table(&entries).names_of(address("192.0.2.1"), 1);

        assert_eq!(standing(&denying("*.evil.test"), &names), Standing::Allowed);
    }

    /// What a resolver of the attacker's own says makes nothing allowed.
    #[test]
    fn an_untrusted_resolver_allows_nothing() {
        let entries = [("192.0.2.1", "shop.test", false), ("192.0.2.1", "a.evil.test", true)];
        let names = table(&entries).names_of(address("192.0.2.1"), 1);

        assert!(matches!(standing(&denying("*.evil.test"), &names), Standing::Denied(_)));
        assert_eq!(standing(&denying("nothing"), &names[1..]), Standing::Unknown);
    }

    /// A name is forgotten a grace after its time, unless it is used meanwhile.
    #[test]
    fn names_last_as_long_as_they_are_used() {
        let mut table = table(&[("192.0.2.1", "shop.test", true)]);
        let end = 60_000 + GRACE;

        assert_eq!(table.names_of(address("192.0.2.1"), end - 1).len(), 1);
        assert_eq!(table.names_of(address("192.0.2.1"), end + 1).len(), 1);
        assert_eq!(table.names_of(address("192.0.2.1"), end + 2 * GRACE), []);
    }

    proptest! {
        /// Whatever is learnt, the table stays within its bounds and knows what it learnt last.
        #[test]
        fn bounded(entries in prop::collection::vec((any::<u16>(), 0_u8..20, any::<u32>()), 1..200)) {
            let mut table = NameTable::default();
            for (index, (place, name, seconds)) in entries.iter().enumerate() {
                let place = IpAddr::from([10, 0, (place >> 8) as u8, *place as u8]);
                table.learn(place, &name.to_string(), *seconds, true, index as u64);
                prop_assert!(table.names_of(place, index as u64).iter().any(|known| known.name == name.to_string()));
            }
            prop_assert!(table.0.len() <= MOST_ADDRESSES);
            prop_assert!(table.0.values().all(|names| names.len() <= MOST_NAMES));
        }
    }

    /// A full table forgets what would be forgotten first.
    #[test]
    fn a_full_table_forgets_the_oldest() {
        let mut table = NameTable::default();
        for number in 0..=MOST_ADDRESSES as u32 {
            table.learn(
                IpAddr::from(number.wrapping_add(0x0a00_0000).to_be_bytes()),
                "a.test",
                60,
                true,
                number.into(),
            );
        }

        assert_eq!(table.0.len(), MOST_ADDRESSES - MOST_ADDRESSES / 8 + 1);
        assert!(table.names_of(address("10.0.0.0"), 9000).is_empty());
        assert!(!table.names_of(address("10.0.2.0"), 9000).is_empty());
    }
}
