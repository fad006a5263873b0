//! Address blocks: `10.0.0.0/8`, `2001:db8::/32`, or one address.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A set of addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressBlock {
    network: IpAddr,
    prefix: u8,
}

impl AddressBlock {
    /// Reads an address or a CIDR block (RFC 4632, RFC 4291). Bits behind the prefix are ignored, and a block of
    /// IPv4-mapped IPv6 is one of IPv4. None when it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(parse_prefix(prefix)?)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        (prefix <= width).then(|| Self { network, prefix }.canonical())
    }

    /// Its first and its last address.
    pub(crate) fn ends(&self) -> (IpAddr, IpAddr) {
        // A shift by the whole width is undefined, and a prefix of 0 leaves all bits free.
        match self.network {
            IpAddr::V4(network) => {
                let free = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                let [first, last] = [network.to_bits() & !free, network.to_bits() | free];
                (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(last).into())
            }
            IpAddr::V6(network) => {
                let free = u128::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                let [first, last] = [network.to_bits() & !free, network.to_bits() | free];
                (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(last).into())
            }
        }
    }

    fn canonical(self) -> Self {
        match self.network {
            IpAddr::V6(network) if self.prefix >= 96 => match network.to_ipv4_mapped() {
                Some(mapped) => Self { network: mapped.into(), prefix: self.prefix - 96 },
                None => self,
            },
            _ => self,
        }
    }
}

/// The address that the kernel will use: IPv4-mapped IPv6 is IPv4, and the unspecified address is loopback
/// (ip(7) and ipv6(7): connecting to it reaches this host).
pub(crate) fn effective(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// Digits alone: `parse` would take a sign.
fn parse_prefix(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(block: AddressBlock, address: IpAddr) -> bool {
        let (first, last) = block.ends();
        (first..=last).contains(&address)
    }

    proptest! {
        /// Whatever an entry says, reading it ends, and a block that was read holds its own network.
        #[test]
        fn every_text_has_an_answer(text in "[0-9a-f:./ +-]{0,30}") {
            if let Some(block) = AddressBlock::parse(&text) {
                prop_assert!(holds(block, block.network));
            }
        }

        /// A block holds an address exactly when the first `prefix` bits are the same, bit by bit.
        #[test]
        fn holds_what_shares_its_first_bits(network: u32, address: u32, prefix in 0u8..=32) {
            let block = AddressBlock::parse(&format!("{}/{prefix}", Ipv4Addr::from_bits(network))).unwrap();
            let bit = |word: u32, at: u8| word >> (31 - at) & 1;
            let same = (0..prefix).all(|at| bit(network, at) == bit(address, at));
            prop_assert_eq!(holds(block, Ipv4Addr::from_bits(address).into()), same);
        }
    }

    /// What is no address and no block is refused, whatever a lenient parser would make of it.
    #[test]
    fn refuses_what_is_no_block() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "10.0.0/8",
            "x",
            "1.2.3.4/8/8",
        ] {
            assert_eq!(AddressBlock::parse(text), None, "{text}");
        }
    }

    /// A block of IPv4-mapped addresses holds the IPv4 addresses that it means.
    #[test]
    fn a_mapped_block_is_one_of_ipv4() {
        assert_eq!(AddressBlock::parse("::ffff:10.0.0.0/104"), AddressBlock::parse("10.0.0.0/8"));
    }
}
