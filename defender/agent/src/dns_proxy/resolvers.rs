//! The resolvers that the workload was started with.
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

const DNS_PORT: u16 = 53;
const FILE: &str = "/etc/resolv.conf";

/// Resolvers whose word counts: what another one says about an allowed name makes no address an allowed one, and it is
/// not exempt from the allow lists for connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolvers(Vec<IpAddr>);

impl Resolvers {
    /// Those of `/etc/resolv.conf` as it is now: read before the workload can change it.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self::parse(&fs::read_to_string(FILE).unwrap_or_default())
    }

    /// Reads the `nameserver` lines (resolv.conf(5)); without any, resolvers ask this machine.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let address = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let word = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())?;
            // A zone says through which interface; the address is the same.
            word.split('%').next()?.parse().ok().map(|address: IpAddr| address.to_canonical())
        };
        let found: Vec<IpAddr> = text.lines().filter_map(address).collect();
        if found.is_empty() { Self(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]) } else { Self(found) }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[IpAddr] {
        &self.0
    }

    /// Where they are asked.
    #[must_use]
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|address| (*address, DNS_PORT).into()).collect()
    }

    /// True for one of them.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text =
            "# nameserver 10.9.9.9\nsearch shop.test\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\noptions edns0\n";
        let resolvers = Resolvers::parse(text);

        assert!(["10.0.0.2", "::ffff:10.0.0.2", "fe80::1"].iter().all(|text| resolvers.has(text.parse().unwrap())));
        assert!(["10.9.9.9", "127.0.0.1"].iter().all(|text| !resolvers.has(text.parse().unwrap())));
    }

    #[test]
    fn without_any_this_machine_is_asked() {
        assert!(Resolvers::parse("").has(Ipv4Addr::LOCALHOST.into()));
    }
}
