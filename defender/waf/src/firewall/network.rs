//! Networks: sets of addresses by name, and countries by address. All in one order: IPv4 lies within IPv6 as mapped addresses
//! (RFC 4291, section 2.5.5.2), so that neither spelling leads around a list.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{PolicyError, reading::At};

/// Addresses, as sorted ranges that do not touch: found by halving.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks(Vec<(u128, u128)>);

/// Sets of addresses by name (`networkLists`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkLists(BTreeMap<String, NetworkList>);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct NetworkList {
    networks: Networks,
    /// Each as its address and the length of its prefix.
    prefixes: Vec<(IpAddr, u8)>,
}

/// The country of each address: a user's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Countries(Vec<(u128, u128, Country)>);

/// Two letters. Source: ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Networks {
    /// A set of ranges, in any order.
    fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Networks as text, such as `10.0.0.0/8`.
    ///
    /// # Errors
    /// The first text that is no network.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let ranges = texts.into_iter().map(|text| range(text).ok_or_else(|| text.to_owned()));
        ranges.collect::<Result<Vec<_>, _>>().map(Self::new)
    }

    /// A list of networks and of names of lists.
    pub(super) fn read(at: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        let parts = at.list(|item| {
            let text = item.text()?;
            match (range(text), lists.0.get(text)) {
                (Some(range), _) => Ok(vec![range]),
                (None, Some(list)) => Ok(list.networks.0.clone()),
                (None, None) => Err(item.wrong(&format!(
                    "is `{text}`, which is neither a network such as `10.0.0.0/8` nor a network list"
                ))),
            }
        })?;
        Ok(Self::new(parts.concat()))
    }

    /// Whether an address is in the set.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = number(address);
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).is_some_and(|index| address <= self.0[index].1)
    }

    /// True without any address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl NetworkLists {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let mut lists = BTreeMap::new();
        for name in at.object()?.into_iter().flat_map(serde_json::Map::keys) {
            let list = at.field(name)?;
            let parts = list.list(|item| {
                let text = item.text()?;
                let parts = range(text).zip(prefix(text));
                parts.ok_or_else(|| item.wrong(&format!("is `{text}`, which is no network such as `10.0.0.0/8`")))
            })?;
            let (ranges, prefixes) = parts.into_iter().unzip();
            lists.insert(name.clone(), NetworkList { networks: Networks::new(ranges), prefixes });
        }
        Ok(Self(lists))
    }

    /// The networks of a list, each as its address and the length of its prefix.
    pub(super) fn prefixes(&self, name: &str) -> Option<Vec<(IpAddr, u8)>> {
        self.0.get(name).map(|list| list.prefixes.clone())
    }
}

impl Countries {
    /// Reads a table of lines `NETWORK,COUNTRY`; empty lines and those that begin with `#` say nothing. Of networks within one
    /// another the smaller one counts.
    ///
    /// # Errors
    /// The first line that means nothing, by its number.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = line.split_once(',').and_then(|(network, country)| {
                let (first, last) = range(network.trim())?;
                Some((first, last, Country::parse(country.trim().trim_matches('"'))?))
            });
            entries.push(entry.ok_or_else(|| {
                PolicyError(format!(
                    "line {} of the country table is no `NETWORK,COUNTRY` such as `192.0.2.0/24,NL`",
                    index + 1
                ))
            })?);
        }
        // The larger of two that begin together comes first.
        entries.sort_unstable_by_key(|(first, last, country)| (*first, u128::MAX - last, *country));
        Ok(Self(flattened(entries)))
    }

    /// The country of an address, if the table knows it.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<Country> {
        let address = number(address);
        let after = self.0.partition_point(|(first, ..)| *first <= address);
        let (_, last, country) = self.0[after.checked_sub(1)?];
        (address <= last).then_some(country)
    }
}

/// Nested ranges as ranges one after the other, the innermost to the fore. Networks never overlap but as nested ones.
fn flattened(entries: Vec<(u128, u128, Country)>) -> Vec<(u128, u128, Country)> {
    let mut flat = Vec::with_capacity(entries.len());
    let mut open: Vec<(u128, u128, Country)> = Vec::new();
    let mut push = |first: u128, last: u128, country| {
        if first <= last {
            flat.push((first, last, country));
        }
    };
    for entry in entries {
        while let Some((from, last, country)) = open.pop() {
            if last >= entry.0 {
                // The entry is within: what stands before it belongs to the outer one, which goes on after it.
                if entry.0 > from {
                    push(from, entry.0 - 1, country);
                }
                open.push((entry.0, last, country));
                break;
            }
            push(from, last, country);
            advance(&mut open, last);
        }
        open.push(entry);
    }
    while let Some((from, last, country)) = open.pop() {
        push(from, last, country);
        advance(&mut open, last);
    }
    flat
}

/// The range around one that has ended goes on after it, or ends with it.
fn advance(open: &mut Vec<(u128, u128, Country)>, ended: u128) {
    while let Some(outer) = open.last_mut() {
        if outer.1 > ended {
            outer.0 = outer.0.max(ended + 1);
            return;
        }
        open.pop();
    }
}

impl Country {
    /// Two letters, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_alphabetic).then(|| Self(letters.map(|letter| letter.to_ascii_uppercase())))
    }
}

impl std::fmt::Display for Country {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// An address without the mapping of IPv4 into IPv6.
#[must_use]
pub fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A network as its address and the length of its prefix.
fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some((address, if length.is_empty() { whole } else { length.parse().ok()? }))
}

/// The first and the last address of a network; bits beyond its prefix do not matter.
fn range(text: &str) -> Option<(u128, u128)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (address, width) = match address.parse().ok()? {
        IpAddr::V4(address) => (Ipv4Addr::to_ipv6_mapped(&address), 32),
        IpAddr::V6(address) => (address, 128),
    };
    let prefix = prefix.unwrap_or(width);
    let free = width.checked_sub(prefix)?;
    let mask = u128::MAX.checked_shl(free).unwrap_or(0);
    let first = Ipv6Addr::to_bits(address) & mask;
    Some((first, first | !mask))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Addresses are found in networks of both families, mapped ones as what they are.
    #[test]
    fn addresses_are_found() {
        let set = Networks::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).unwrap();
        for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8:ffff::1", "::ffff:10.1.2.3"] {
            assert!(set.contain(address(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.8", "2001:db9::", "::1"] {
            assert!(!set.contain(address(outside)), "{outside}");
        }
        assert!(Networks::parse(["0.0.0.0/0"]).unwrap().contain(address("255.255.255.255")));
        assert!(!Networks::parse(["0.0.0.0/0"]).unwrap().contain(address("2001::")));
        assert_eq!(Networks::parse(["10.0.0.0/33"]), Err("10.0.0.0/33".to_owned()));
    }

    /// A list is named in place of its networks; what is neither is refused with its place.
    #[test]
    fn lists_have_names() {
        let value = json!({"office": ["192.0.2.0/24"]});
        let lists = NetworkLists::read(&At::root(&value)).unwrap();
        let set = Networks::read(&At::root(&json!(["office", "::1"])), &lists).unwrap();
        assert!(set.contain(address("192.0.2.200")) && set.contain(address("::1")));
        let error = Networks::read(&At::root(&json!(["office", "nowhere"])), &lists).unwrap_err();
        assert!(error.to_string().starts_with("`[1]` is `nowhere`, which is neither"));
    }

    /// Of nested networks the inner one's country counts, and the outer one goes on after it.
    #[test]
    fn countries_are_found() {
        let table = "# a table\n10.0.0.0/8,de\n10.1.0.0/16,NL\n10.1.2.0/24,\"FR\"\n\n2001:db8::/32,CH\n";
        let countries = Countries::parse(table).unwrap();
        let of = |text| countries.of(address(text)).map(|country| country.to_string());
        assert_eq!(of("10.0.9.9").as_deref(), Some("DE"));
        assert_eq!(of("10.1.2.3").as_deref(), Some("FR"));
        assert_eq!(of("10.1.3.0").as_deref(), Some("NL"));
        assert_eq!(of("10.2.0.0").as_deref(), Some("DE"));
        assert_eq!(of("2001:db8::7").as_deref(), Some("CH"));
        assert_eq!(of("11.0.0.0"), None);
        assert!(Countries::parse("10.0.0.0/8,DE\n10.0.0.0/8;DE").unwrap_err().to_string().contains("line 2"));
    }

    proptest! {
        /// The table agrees with asking every network of it for the longest prefix.
        #[test]
        fn countries_agree_with_a_search(
            nets in proptest::collection::vec((0_u32..64, 26_u32..=32, "[A-C]{2}"), 1..12), asked in 0_u32..64,
        ) {
            let mut nets = nets;
            // One network has one country.
            nets.sort_by_key(|(base, prefix, _)| (base >> (32 - prefix), *prefix));
            nets.dedup_by_key(|(base, prefix, _)| (*base >> (32 - *prefix), *prefix));
            let lines: Vec<_> =
                nets.iter().map(|(base, prefix, country)| format!("0.0.0.{base}/{prefix},{country}")).collect();
            let expected = nets
                .iter()
                .filter(|(base, prefix, _)| base >> (32 - prefix) == asked >> (32 - prefix))
                .max_by_key(|(_, prefix, _)| *prefix)
                .map(|(_, _, country)| country.clone());
            let countries = Countries::parse(&lines.join("\n")).unwrap();
            let found = countries.of(IpAddr::V4(Ipv4Addr::from(asked)));
            prop_assert_eq!(found.map(|country| country.to_string()), expected);
        }
    }
}
