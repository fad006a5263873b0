//! Where the Console's channel is: `wss://host:port`.
use std::{fmt, net::Ipv6Addr};

/// A host (name or IP address, IPv6 without brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The channel's port where an address names none.
const CHANNEL_PORT: u16 = 8084;

impl Address {
    /// Reads `wss://host[:port][/]`. None for another scheme, a path, user information, or what is no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("wss://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(known) {
            return None;
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0)?,
            None => CHANNEL_PORT,
        };
        Some(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "wss://[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "wss://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names, IPv4 and IPv6 addresses are read; the port may be left out.
    #[test]
    fn reads_addresses() {
        for (text, host, port) in [
            ("wss://console.test:9000", "console.test", 9000),
            ("wss://console.test", "console.test", 8084),
            ("wss://192.0.2.1:1/", "192.0.2.1", 1),
            ("wss://[2001:db8::1]:8084", "2001:db8::1", 8084),
            ("wss://[::1]", "::1", 8084),
        ] {
            assert_eq!(Address::parse(text), Some(Address { host: host.into(), port }), "{text}");
        }
    }

    /// Whatever could lead elsewhere than it seems is refused.
    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "ws://h:1",
            "wss://",
            "wss://h:0",
            "wss://h:65536",
            "wss://u@h:1",
            "wss://h:1/x",
            "wss://h h:1",
            "wss://::1:1",
            "wss://[h]:1",
            "wss://[::1]x",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    proptest! {
        /// What an address says of itself is read as the same address, and any text has an answer.
        #[test]
        fn display_is_read_back(text in "(wss://)?[a-z:.\\[\\]0-9/]{0,20}") {
            if let Some(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Some(address));
            }
        }
    }
}
