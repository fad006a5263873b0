//! Port scans: many ports of one address, many addresses on one port, or many refusals, by one family of processes.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
};

/// How far back it is counted, in milliseconds.
const WINDOW: u64 = 60_000;
/// Ports of one address that no program has reason to try within the window.
const MANY_PORTS: usize = 25;
/// Addresses on one port, when no look-up gave them: whoever follows names (a crawler, a proxy) scans nothing.
const MANY_ADDRESSES: usize = 64;
/// Different destinations that refused.
const MANY_REFUSALS: usize = 25;
/// Bounds of what is remembered.
const MOST_FAMILIES: usize = 64;
const MOST_TRIED: usize = 512;
/// Ports from here on are given out by the kernel: protocols with second connections (FTP, RPC) use many of them, so they
/// count only when they refuse.
const EPHEMERAL: u16 = 32768;

/// One destination that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// Address, in canonical form.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// True when a look-up gave the address.
    pub by_name: bool,
}

/// Counts destinations per family: a process, or the children of one.
#[derive(Debug, Default)]
pub struct ScanCounter(HashMap<u32, Family>);

#[derive(Debug, Default)]
struct Family {
    tried: VecDeque<(Tried, bool, u64)>,
    reported: Option<u64>,
}

/// What a scan looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// What was counted, for people: `30 ports of 10.0.0.7`.
    pub what: String,
    /// True once per window: later connections of the same scan are no news.
    pub news: bool,
}

impl ScanCounter {
    /// Counts one try of `family` at `now` (milliseconds of a clock that only goes forward); says whether it is scanning.
    pub fn note(&mut self, family: u32, tried: Tried, now: u64) -> Option<Scan> {
        self.count(family, tried, false, now)
    }

    /// Counts a try that was refused.
    pub fn refused(&mut self, family: u32, tried: Tried, now: u64) -> Option<Scan> {
        self.count(family, tried, true, now)
    }

    fn count(&mut self, family: u32, tried: Tried, refused: bool, now: u64) -> Option<Scan> {
        if self.0.len() >= MOST_FAMILIES && !self.0.contains_key(&family) {
            self.make_room(now);
        }
        let family = self.0.entry(family).or_default();
        family.forget(now);
        let again = family.tried.iter_mut().find(|(one, ..)| (one.address, one.port) == (tried.address, tried.port));
        if let Some((_, was_refused, _)) = again {
            *was_refused |= refused;
        } else {
            if family.tried.len() >= MOST_TRIED {
                family.tried.pop_front();
            }
            family.tried.push_back((tried, refused, now));
        }
        let what = family.scanning(tried)?;
        let news = family.reported.is_none_or(|at| now.saturating_sub(at) >= WINDOW);
        if news {
            family.reported = Some(now);
        }
        Some(Scan { what, news })
    }

    fn make_room(&mut self, now: u64) {
        let latest = |family: &Family| family.tried.back().map_or(0, |(_, _, at)| *at);
        self.0.retain(|_, family| now.saturating_sub(latest(family)) < WINDOW);
        if self.0.len() >= MOST_FAMILIES
            && let Some(quietest) = self.0.iter().min_by_key(|(_, family)| family.tried.len()).map(|(id, _)| *id)
        {
            self.0.remove(&quietest);
        }
    }
}

impl Family {
    fn forget(&mut self, now: u64) {
        while self.tried.front().is_some_and(|(_, _, at)| now.saturating_sub(*at) >= WINDOW) {
            self.tried.pop_front();
        }
    }

    fn scanning(&self, tried: Tried) -> Option<String> {
        let of_address = |(one, refused, _): &&(Tried, bool, u64)| {
            one.address == tried.address && (one.port < EPHEMERAL || *refused)
        };
        let ports = self.tried.iter().filter(of_address).count();
        if ports >= MANY_PORTS {
            return Some(format!("{ports} ports of {}", tried.address));
        }
        let nameless = self.tried.iter().filter(|(one, ..)| one.port == tried.port && !one.by_name);
        let addresses: HashSet<IpAddr> = nameless.map(|(one, ..)| one.address).collect();
        if addresses.len() >= MANY_ADDRESSES {
            return Some(format!("{} addresses on port {}", addresses.len(), tried.port));
        }
        let refusals = self.tried.iter().filter(|(_, refused, _)| *refused).count();
        (refusals >= MANY_REFUSALS).then(|| format!("{refusals} destinations that refused"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(last: u8, port: u16) -> Tried {
        Tried { address: IpAddr::from([10, 0, 0, last]), port, by_name: false }
    }

    /// Many ports of one address are a scan, reported once per window and recognised until it is over.
    #[test]
    fn many_ports_of_one_address() {
        let mut counter = ScanCounter::default();
        let scans: Vec<_> = (1..=30).filter_map(|port| counter.note(7, to(1, port), 5)).collect();

        assert_eq!(scans[0], Scan { what: "25 ports of 10.0.0.1".into(), news: true });
        assert_eq!(scans[1..].iter().filter(|scan| scan.news).count(), 0);
        assert_eq!(scans.len(), 6);
        assert_eq!(counter.note(7, to(1, 99), 5 + WINDOW), None);
    }

    /// The same destination again and again is no scan, nor are a few peers, nor what names lead to.
    #[test]
    fn ordinary_programs_scan_nothing() {
        let mut counter = ScanCounter::default();
        for round in 0..1000_u32 {
            let name = Tried { by_name: true, ..to((round % 200) as u8, 443) };
            assert_eq!(counter.note(7, to((round % 20) as u8, 9042), 5), None);
            assert_eq!(counter.note(8, name, 5), None);
            assert_eq!(counter.note(9, to(1, EPHEMERAL + round as u16), 5), None);
            assert_eq!(counter.refused(10, to(1, 5432), 5), None);
        }
    }

    /// Many addresses on one port are a scan when no name led to them.
    #[test]
    fn many_addresses_on_one_port() {
        let mut counter = ScanCounter::default();
        let scan = (1..=64).find_map(|last| counter.note(7, to(last, 22), 5));

        assert_eq!(scan.unwrap().what, "64 addresses on port 22");
    }

    /// Many refusals are a scan, wherever they come from.
    #[test]
    fn many_refusals() {
        let mut counter = ScanCounter::default();
        let scan = (1..=25).find_map(|last| counter.refused(7, to(last, 50_000 + u16::from(last)), 5));

        assert_eq!(scan.unwrap().what, "25 destinations that refused");
    }

    proptest! {
        /// Whatever is tried by whom, what is remembered stays within its bounds.
        #[test]
        fn bounded(tries in prop::collection::vec((0..200_u32, any::<u8>(), any::<u16>(), 0..200_000_u64), 0..2000)) {
            let mut counter = ScanCounter::default();
            let mut now = 0;
            for (family, last, port, later) in tries {
                now += later;
                counter.note(family, to(last, port), now);
            }
            prop_assert!(counter.0.len() <= MOST_FAMILIES);
            prop_assert!(counter.0.values().all(|family| family.tried.len() <= MOST_TRIED));
        }
    }
}
