//! Addresses and names that are known for what is asked there.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// DNS, NTP: some clouds serve both at the address of their metadata.
const HARMLESS_PORTS: [u16; 2] = [53, 123];
/// DNS over TLS (RFC 7858) and over QUIC (RFC 9250).
const DNS_OVER_TLS: u16 = 853;
const HTTPS: u16 = 443;

/// The metadata service of a cloud: that of AWS, Google, Azure, `DigitalOcean` and most others, AWS and Google by IPv6,
/// Alibaba, Azure's wire server, and Oracle's older address.
///
/// 169.254.170.2 and 169.254.170.23 are not among them: there an ECS task or an EKS pod asks for the very role that it was
/// given, as every AWS library in it does.
pub(super) fn metadata(address: IpAddr, port: u16) -> Option<&'static str> {
    if HARMLESS_PORTS.contains(&port) {
        return None;
    }
    match address {
        IpAddr::V4(address) => match address.octets() {
            [169, 254, 169, 254] => Some("169.254.169.254"),
            [100, 100, 100, 200] => Some("100.100.100.200"),
            [168, 63, 129, 16] => Some("168.63.129.16"),
            [192, 0, 0, 192] => Some("192.0.0.192"),
            _ => None,
        },
        IpAddr::V6(address) => match address.segments() {
            [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Some("fd00:ec2::254"),
            [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Some("fd20:ce::254"),
            _ => None,
        },
    }
}

/// Names of metadata services.
pub(super) fn metadata_name(name: &str) -> Option<&'static str> {
    match name {
        "metadata.google.internal" => Some("metadata.google.internal"),
        "instance-data.ec2.internal" | "instance-data" => Some("instance-data.ec2.internal"),
        _ => None,
    }
}

/// DNS over TLS or QUIC anywhere, and DNS over HTTPS (RFC 8484) at a public resolver.
pub(super) fn encrypted_dns(address: IpAddr, port: u16) -> Option<&'static str> {
    match port {
        _ if address.is_loopback() => None,
        DNS_OVER_TLS => Some("853"),
        HTTPS => match address {
            IpAddr::V4(address) => resolver(address),
            IpAddr::V6(address) => resolver6(address),
        },
        _ => None,
    }
}

/// The published addresses of public resolvers.
fn resolver(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [1, 1, 1, 1..=3] | [1, 0, 0, 1..=3] | [104, 16, 248 | 249, 249] | [162, 159, 36 | 46, 1] => "cloudflare",
        [8, 8, 8, 8] | [8, 8, 4, 4] => "google",
        [9, 9, 9, 9..=13] | [149, 112, 112, 9..=13 | 112] => "quad9",
        [208, 67, 222 | 220, 220 | 222 | 123 | 2 | 64] | [146, 112, 41, 2..=5] => "opendns",
        [94, 140, 14, 14 | 15 | 140 | 141] | [94, 140, 15, 15 | 16] => "adguard",
        [45, 90, 28 | 30, _] => "nextdns",
        [185, 228, 168 | 169, 9..=11 | 168] => "cleanbrowsing",
        [76, 76, 2 | 10, _] => "controld",
        [194, 242, 2, 2..=9] => "mullvad",
        [185, 222, 222, 222] | [45, 11, 45, 11] => "dns.sb",
        [223, 5, 5, 5] | [223, 6, 6, 6] => "alidns",
        [1, 12, 12, 12] | [120, 53, 53, 53] | [119, 29, 29, 29] => "dnspod",
        [193, 110, 81, 0..=9] | [185, 253, 5, 0..=9] => "dns0.eu",
        [149, 112, 121 | 122, 10 | 20 | 30] => "cira",
        [77, 88, 8, 1..=88] => "yandex",
        [86, 54, 11, 1 | 11..=13 | 100 | 200..=213] => "dns4eu",
        [84, 200, 69, 80] | [84, 200, 70, 40] => "dns.watch",
        _ => return None,
    })
}

fn resolver6(address: Ipv6Addr) -> Option<&'static str> {
    Some(match address.segments() {
        [0x2606, 0x4700, 0x4700, 0, 0, 0, 0, _] => "cloudflare",
        [0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888 | 0x8844 | 0x64 | 0x6464] => "google",
        [0x2620, 0xfe, 0, 0, 0, 0, 0, _] => "quad9",
        [0x2620, 0x119, 0x35 | 0x53, 0, 0, 0, 0, _] | [0x2620, 0, 0xccc | 0xccd, 0, 0, 0, 0, 2] => "opendns",
        [0x2a10, 0x50c0, 0, 0, 0, 0, _, 0xff] => "adguard",
        [0x2a07, 0xa8c0 | 0xa8c1, ..] => "nextdns",
        [0x2606, 0x1a40, 0 | 1, ..] => "controld",
        [0x2a07, 0xe340, 0, 0, 0, 0, 0, _] => "mullvad",
        [0x2a09 | 0x2a11, 0, 0, 0, 0, 0, 0, 0] => "dns.sb",
        [0x2400, 0x3200, ..] => "alidns",
        _ => return None,
    })
}

/// Names of public resolvers that answer by HTTPS or TLS, and everything beneath them.
const RESOLVERS: &[&str] = &[
    "cloudflare-dns.com",
    "one.one.one.one",
    "dns.google",
    "dns.google.com",
    "dns64.dns.google",
    "dns.quad9.net",
    "dns9.quad9.net",
    "dns10.quad9.net",
    "dns11.quad9.net",
    "doh.opendns.com",
    "dns.opendns.com",
    "doh.familyshield.opendns.com",
    "dns.umbrella.com",
    "doh.umbrella.com",
    "dns.adguard.com",
    "dns.adguard-dns.com",
    "unfiltered.adguard-dns.com",
    "family.adguard-dns.com",
    "d.adguard-dns.com",
    "dns.nextdns.io",
    "doh.cleanbrowsing.org",
    "dns.controld.com",
    "freedns.controld.com",
    "dns.mullvad.net",
    "doh.mullvad.net",
    "doh.dns.sb",
    "dns.alidns.com",
    "doh.pub",
    "dns.pub",
    "dot.pub",
    "dns0.eu",
    "doh.libredns.gr",
    "dot.libredns.gr",
    "doh.applied-privacy.net",
    "doh.xfinity.com",
    "doh.cox.net",
    "dns.switch.ch",
    "doh.ffmuc.net",
    "dns.digitale-gesellschaft.ch",
    "doh.li",
    "private.canadianshield.cira.ca",
    "dns.twnic.tw",
    "doh.360.cn",
    "dot.360.cn",
    "odoh.cloudflare-dns.com",
];

/// A public resolver by name: who looks it up is about to ask it.
pub(super) fn resolver_name(name: &str) -> Option<&'static str> {
    let is = |known: &&&str| name.strip_suffix(**known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    RESOLVERS.iter().find(is).copied()
}
