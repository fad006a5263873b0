//! `@ipMatch`.

use std::net::{IpAddr, Ipv6Addr};

/// Reads addresses and networks (`10.0.0.0/8`, `::1`), parted by commas and blanks.
///
/// # Errors
/// In words, for what is no address and for a prefix that is too long.
pub(super) fn list(text: &str) -> Result<Vec<(IpAddr, u8)>, String> {
    text.split([',', ' ', '\t', '\r', '\n']).filter(|part| !part.is_empty()).map(network).collect()
}

/// As [`list`], from a file: one a line, `#` begins a comment.
///
/// # Errors
/// As [`list`].
pub(super) fn file(text: &str) -> Result<Vec<(IpAddr, u8)>, String> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    lines.map(list).collect::<Result<Vec<_>, _>>().map(|lists| lists.concat())
}

fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("`{text}` is no address or network such as `10.0.0.0/8`");
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(most), |prefix| prefix.parse().map_err(|_| wrong()))?;
    if prefix > most { Err(wrong()) } else { Ok((address, prefix)) }
}

/// Whether the value is an address in one of the networks; an IPv4 address mapped into IPv6 is its IPv4 address.
pub(super) fn holds(networks: &[(IpAddr, u8)], value: &[u8]) -> bool {
    let address = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
    address.is_some_and(|address| networks.iter().any(|(network, prefix)| contains(*network, *prefix, address)))
}

fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(32 - u32::from(prefix)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), _) => {
            let address = match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            same_prefix(network, address, prefix)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

fn same_prefix(network: Ipv6Addr, address: Ipv6Addr, prefix: u8) -> bool {
    (network.to_bits() ^ address.to_bits()).checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
}
