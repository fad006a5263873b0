//! Who sends a request: the connection's peer, or whom trusted proxies speak for.
//!
//! Anyone can write `X-Forwarded-For`. Taking its first entry, as the vendor does, lets a client choose its address, and with it
//! evade bans and rates, get others banned, and stand in an excepted network. So the field counts only when the connection
//! comes from a trusted proxy, and of its entries the last counts that no trusted proxy has: that is the one which the outermost
//! of them saw itself. `"forwardedFor": "first"` takes the first one as the vendor does, from trusted proxies all the same.

use std::net::IpAddr;

use super::{
    PolicyError,
    network::{NetworkLists, Networks, plain},
    reading::At,
};
use crate::http::Head;

/// Private, shared and local addresses: where load balancers and sidecars stand.
/// Source: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291.
const LOCAL: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];
/// Entries of `X-Forwarded-For` that are looked at.
const MOST_ENTRIES: usize = 32;

/// Whom to believe about a client's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    proxies: Networks,
    choice: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    NearestUntrusted,
    First,
    Never,
}

impl Default for Trust {
    fn default() -> Self {
        let proxies = Networks::parse(LOCAL).unwrap_or_default();
        Self { proxies, choice: Choice::NearestUntrusted }
    }
}

impl Trust {
    /// `trustedProxies` and `forwardedFor` of a policy.
    pub(super) fn read(root: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        let own = root.field("trustedProxies")?;
        let proxies = if own.value().is_some() { Networks::read(&own, lists)? } else { Self::default().proxies };
        let choices =
            [("nearestUntrusted", Choice::NearestUntrusted), ("first", Choice::First), ("never", Choice::Never)];
        let choice = root.field("forwardedFor")?.choice(&choices, Choice::NearestUntrusted)?;
        Ok(Self { proxies, choice })
    }

    /// Whether a connection's peer is one whose `X-Forwarded-…` fields are believed.
    #[must_use]
    pub fn believes(&self, peer: IpAddr) -> bool {
        self.proxies.contain(plain(peer))
    }

    /// Whether the peer is a trusted proxy that says that its client spoke TLS (`X-Forwarded-Proto`; of several the nearest
    /// counts).
    #[must_use]
    pub fn secure(&self, head: &Head, peer: IpAddr) -> bool {
        let told = head.headers().filter(|header| header.name.eq_ignore_ascii_case(b"x-forwarded-proto")).last();
        let nearest = told.and_then(|header| header.value.rsplit(|byte| *byte == b',').next());
        nearest.is_some_and(|scheme| scheme.trim_ascii().eq_ignore_ascii_case(b"https")) && self.believes(peer)
    }

    /// The client of a request, and the addresses on the way to us, the connection's peer last.
    #[must_use]
    pub fn client(&self, head: &Head, peer: IpAddr) -> (IpAddr, Vec<IpAddr>) {
        let peer = plain(peer);
        if self.choice == Choice::Never || !self.proxies.contain(peer) {
            return (peer, vec![peer]);
        }
        let mut way = entries(head);
        if way.is_empty() {
            return (peer, vec![peer]);
        }
        let chosen = match self.choice {
            Choice::First => 0,
            // When all are trusted, the first is the client itself.
            _ => way.iter().rposition(|address| !self.proxies.contain(*address)).unwrap_or(0),
        };
        way.push(peer);
        (way[chosen], way.split_off(chosen + 1))
    }
}

/// The addresses of `X-Forwarded-For`, all its lines together, those before an entry that is no address left out: nobody knows
/// what they mean.
fn entries(head: &Head) -> Vec<IpAddr> {
    let lines = head.headers().filter(|header| header.name.eq_ignore_ascii_case(b"x-forwarded-for"));
    let texts: Vec<&[u8]> = lines.flat_map(|header| header.value.split(|byte| *byte == b',')).collect();
    let last = texts.iter().rev().take(MOST_ENTRIES).map_while(|text| address(text.trim_ascii()));
    let mut entries: Vec<IpAddr> = last.collect();
    entries.reverse();
    entries
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches('"');
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::read_head;

    fn client(policy: &serde_json::Value, peer: &str, forwarded: &str) -> (String, Vec<String>) {
        let trust = Trust::read(&At::root(policy), &NetworkLists::default()).unwrap();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{forwarded}\r\n");
        let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
        let (client, way) = trust.client(&head, peer.parse().unwrap());
        (client.to_string(), way.iter().map(ToString::to_string).collect())
    }

    /// Behind a load balancer the client is the one that the load balancer saw.
    #[test]
    fn a_proxy_tells_its_client() {
        let (who, way) = client(&json!({}), "10.0.0.7", "X-Forwarded-For: 203.0.113.9\r\n");
        assert_eq!((who.as_str(), way), ("203.0.113.9", vec!["10.0.0.7".to_owned()]));
        let (who, way) = client(&json!({}), "127.0.0.1", "X-Forwarded-For: [2001:db8::1]:443, 10.0.0.9\r\n");
        assert_eq!((who.as_str(), way), ("2001:db8::1", vec!["10.0.0.9".to_owned(), "127.0.0.1".to_owned()]));
    }

    /// A client cannot choose its address: neither from outside nor through a proxy that appends.
    #[test]
    fn a_client_cannot_choose_its_address() {
        let spoofed = "X-Forwarded-For: 10.1.1.1\r\n";
        assert_eq!(client(&json!({}), "203.0.113.9", spoofed).0, "203.0.113.9");
        let appended = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n";
        assert_eq!(client(&json!({}), "10.0.0.7", appended).0, "203.0.113.9");
        let lines = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 203.0.113.9\r\n";
        assert_eq!(client(&json!({}), "10.0.0.7", lines).0, "203.0.113.9");
        assert_eq!(client(&json!({}), "10.0.0.7", "X-Forwarded-For: 198.51.100.1, x\r\n").0, "10.0.0.7");
        assert_eq!(client(&json!({"trustedProxies": []}), "10.0.0.7", spoofed).0, "10.0.0.7");
    }

    /// A load balancer that speaks TLS says so; a client that only says so does not speak it.
    #[test]
    fn a_proxy_tells_of_tls() {
        let secure = |peer: &str, fields: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
            Trust::default().secure(&head, peer.parse().unwrap())
        };
        assert!(secure("10.0.0.7", "X-Forwarded-Proto: HTTPS\r\n"));
        assert!(secure("10.0.0.7", "X-Forwarded-Proto: http, https\r\n"));
        assert!(!secure("10.0.0.7", "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"));
        assert!(!secure("203.0.113.9", "X-Forwarded-Proto: https\r\n"));
        assert!(!secure("10.0.0.7", ""));
    }

    /// The vendor's way can be chosen, and so can none.
    #[test]
    fn the_first_entry_can_be_chosen() {
        let both = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n";
        assert_eq!(client(&json!({"forwardedFor": "first"}), "10.0.0.7", both).0, "198.51.100.1");
        assert_eq!(client(&json!({"forwardedFor": "first"}), "203.0.113.1", both).0, "203.0.113.1");
        assert_eq!(client(&json!({"forwardedFor": "never"}), "10.0.0.7", both).0, "10.0.0.7");
    }
}
