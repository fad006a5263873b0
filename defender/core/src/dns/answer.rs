//! What a response gives: the addresses of the name that was asked for, and how long each may be kept.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Record, TYPE_A, TYPE_AAAA, matching_question_end, word};

const TYPE_SVCB: u16 = 64;
const TYPE_HTTPS: u16 = 65;
/// Service parameters that carry addresses (RFC 9460, section 7.3).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
/// More than any resolver gives; a response cannot make us keep more.
const MOST_GIVEN: usize = 256;

/// An address that a response gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub address: IpAddr,
    /// How long it may be kept, in seconds.
    pub seconds: u32,
}

/// The addresses that `response` gives to who asked `query`: A and AAAA records behind any aliases, and the hints of
/// SVCB and HTTPS records, which browsers connect to without asking again. Nothing when the response does not belong to
/// the query; of a damaged one what stands before the damage, since a client may use that too.
#[must_use]
pub fn given(query: &[u8], response: &[u8]) -> Vec<Given> {
    let mut found = Vec::new();
    let Some(mut at) = matching_question_end(query, response) else { return found };
    for _ in 0..word(response, 6).unwrap_or(0) {
        let Some(record) = Record::read(response, at) else { break };
        let seconds = record.seconds;
        found.extend(addresses(&record).into_iter().map(|address| Given { address, seconds }));
        if found.len() >= MOST_GIVEN {
            found.truncate(MOST_GIVEN);
            break;
        }
        at = record.end;
    }
    found
}

fn addresses(record: &Record<'_>) -> Vec<IpAddr> {
    match (record.kind, record.data) {
        (TYPE_A, data) => data.try_into().map(v4).into_iter().collect(),
        (TYPE_AAAA, data) => data.try_into().map(v6).into_iter().collect(),
        (TYPE_SVCB | TYPE_HTTPS, data) => hints(data).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn v4(octets: [u8; 4]) -> IpAddr {
    Ipv4Addr::from(octets).into()
}

/// An IPv4-mapped address is used as the IPv4 address that it is.
fn v6(octets: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(octets).to_canonical()
}

/// RFC 9460, section 2.2: a priority, a name without pointers, then parameters of key, length and value.
fn hints(data: &[u8]) -> Option<Vec<IpAddr>> {
    let mut at = 2;
    while *data.get(at)? != 0 {
        at += 1 + usize::from(data[at]);
    }
    at += 1;
    let mut found = Vec::new();
    while let (Some(key), Some(length)) = (word(data, at), word(data, at + 2)) {
        let end = at + 4 + usize::from(length);
        let value = data.get(at + 4..end)?;
        match key {
            IPV4_HINT => found.extend(value.as_chunks().0.iter().copied().map(v4)),
            IPV6_HINT => found.extend(value.as_chunks().0.iter().copied().map(v6)),
            _ => {}
        }
        at = end;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{address_query, tests::response},
        *,
    };

    /// Addresses come with their time to live, past aliases.
    #[test]
    fn addresses_come_with_their_time() {
        let query = address_query(7, "a.test", false).unwrap();
        let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e";
        let one = b"\x01b\xc0\x0e\0\x01\0\x01\0\x01\0\x02\0\x04\xc0\0\x02\x01";
        let other = b"\x01b\xc0\x0e\0\x1c\0\x01\0\0\0\x05\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x02";

        let found = given(&query, &response(&query, &[alias, one, other]));

        let expected = [("192.0.2.1", 65538), ("192.0.2.2", 5)]
            .map(|(address, seconds)| Given { address: address.parse().unwrap(), seconds });
        assert_eq!(found, expected);
    }

    /// The hints of an HTTPS record are addresses too.
    #[test]
    fn hints_are_addresses() {
        let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x41\0\x01".to_vec();
        let data = b"\0\x01\x01c\0\0\x01\0\x02h2\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02";
        let mut record = b"\xc0\x0c\0\x41\0\x01\0\0\0\x3c\0".to_vec();
        record.push(data.len() as u8);
        record.extend_from_slice(data);

        let found: Vec<_> =
            given(&query, &response(&query, &[&record])).iter().map(|given| given.address.to_string()).collect();

        assert_eq!(found, ["192.0.2.1", "192.0.2.2"]);
    }

    /// A response to another question gives nothing.
    #[test]
    fn another_question_gives_nothing() {
        let query = address_query(7, "a.test", false).unwrap();
        let address = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
        let answer = response(&query, &[address]);

        assert_eq!(given(&query, &answer).len(), 1);
        assert_eq!(given(&address_query(8, "a.test", false).unwrap(), &answer), []);
    }

    /// A record whose name points to itself, or into the header, ends reading and gives what stood before it; labels of
    /// kinds that do not exist (RFC 1035, section 4.1.4) give nothing.
    #[test]
    fn names_that_lead_nowhere_end_it() {
        let query = address_query(7, "a.test", false).unwrap();
        let good = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
        let own = (query.len() + good.len()) as u8;
        let itself = [&[0xc0, own][..], &good[2..]].concat();
        for strange in [0x40_u8, 0x80, 0xbf] {
            let record = [&[strange, 0x0c][..], &good[2..]].concat();
            assert_eq!(given(&query, &response(&query, &[good, &record])).len(), 1, "{strange:x}");
        }
        assert_eq!(given(&query, &response(&query, &[good, &itself])).len(), 2, "what it points to does not matter");
        let mut long = [&[63][..], &[b'a'; 20], &good[2..]].concat();
        long.truncate(40);
        assert_eq!(given(&query, &response(&query, &[good, &long])).len(), 1);
    }

    /// Only the answer counts, not what a server adds about others.
    #[test]
    fn additional_records_give_nothing() {
        let query = address_query(7, "a.test", false).unwrap();
        let good = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
        let mut answer = response(&query, &[good, good, good]);
        (answer[7], answer[9], answer[11]) = (1, 1, 1);

        assert_eq!(given(&query, &answer).len(), 1);
    }

    proptest! {
        /// Whatever stands behind the question, reading it ends, and it gives no more than it may.
        #[test]
        fn total_on_hostile_records(
            count: u8,
            kind in prop::sample::select(vec![1_u8, 28, 64, 65, 5]),
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let query = address_query(7, "a.test", false).unwrap();
            let mut answer = response(&query, &[&[0xc0, 0x0c, 0, kind, 0, 1, 0, 0, 0, 9, 0, data.len() as u8], &data]);
            answer[7] = count;
            prop_assert!(given(&query, &answer).len() <= MOST_GIVEN);
        }
    }
}
