//! The names of an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
use std::{fmt::Write as _, net::IpAddr};

use super::{
    Addresses, FLAG_TRUNCATED, HEADER, LONGEST_LABEL, LONGEST_NAME, NXDOMAIN, RCODE, Record, address_query,
    matching_question_end, push_byte, word,
};

const TYPE_PTR: u16 = 12;
/// Pointers that are followed in one name: more are a loop, or want to be one.
const MOST_POINTERS: usize = 16;
/// Names that are read of one response.
const MOST_NAMES: usize = 16;

/// What a resolver said about an address's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// These are they, lower-case, without trailing dot; none when there are none.
    Found(Vec<String>),
    /// The answer did not fit, ask again over TCP.
    Truncated,
}

/// Makes a recursive query for the names of an address.
#[must_use]
pub fn name_query(id: u16, address: IpAddr) -> Option<Vec<u8>> {
    let mut query = address_query(id, &reverse_name(address.to_canonical()), false)?;
    let kind = query.len() - 4;
    query[kind..kind + 2].copy_from_slice(&TYPE_PTR.to_be_bytes());
    Some(query)
}

/// Reads the names of a response to `query`. None when it does not belong to it, is damaged, or the server failed.
#[must_use]
pub fn parse_names(query: &[u8], response: &[u8]) -> Option<Names> {
    let mut at = matching_question_end(query, response)?;
    if response[2] & FLAG_TRUNCATED != 0 {
        return Some(Names::Truncated);
    }
    if !matches!(response[3] & RCODE, 0 | NXDOMAIN) {
        return None;
    }
    let mut found = Vec::new();
    for _ in 0..word(response, 6)? {
        let record = Record::read(response, at)?;
        if record.kind == TYPE_PTR && found.len() < MOST_NAMES {
            found.push(name(response, record.end - record.data.len())?);
        }
        at = record.end;
    }
    Some(Names::Found(found))
}

/// Whether the addresses that a name has confirm it.
#[must_use]
pub fn confirms(addresses: &Addresses, address: IpAddr) -> bool {
    let Addresses::Found(found) = addresses else { return false };
    found.iter().any(|one| one.to_canonical() == address.to_canonical())
}

fn reverse_name(address: IpAddr) -> String {
    let mut name = String::with_capacity(72);
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // Writing to memory cannot fail.
            let _ = write!(name, "{d}.{c}.{b}.{a}.in-addr.arpa");
        }
        IpAddr::V6(address) => {
            for octet in address.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 15, octet >> 4);
            }
            name.push_str("ip6.arpa");
        }
    }
    name
}

/// A name that may end in a pointer to an earlier one (RFC 1035, section 4.1.4).
fn name(message: &[u8], mut at: usize) -> Option<String> {
    let (mut name, mut pointers) = (String::new(), 0);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(name),
            1..=LONGEST_LABEL => {
                if !name.is_empty() {
                    name.push('.');
                }
                let end = at + 1 + usize::from(length);
                message.get(at + 1..end)?.iter().for_each(|&byte| push_byte(&mut name, byte));
                at = end;
            }
            0xc0.. => {
                let target = usize::from(word(message, at)? & 0x3fff);
                pointers += 1;
                // A pointer leads back, past the header.
                if pointers > MOST_POINTERS || target >= at || target < HEADER {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
        if name.len() > LONGEST_NAME * 4 {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::response, *};

    fn query() -> Vec<u8> {
        name_query(7, "192.0.2.9".parse().unwrap()).unwrap()
    }

    /// Addresses of both families are asked for as RFC 1035 and RFC 3596 write them.
    #[test]
    fn addresses_are_written_backwards() {
        let asked = |address: &str| {
            let question = super::super::parse_query(&name_query(1, address.parse().unwrap()).unwrap()).unwrap();
            (question.name, question.record_type)
        };

        assert_eq!(asked("192.0.2.9"), ("9.2.0.192.in-addr.arpa".into(), "PTR".into()));
        assert_eq!(asked("::ffff:192.0.2.9").0, "9.2.0.192.in-addr.arpa");
        assert_eq!(
            asked("2001:db8::567:89ab").0,
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }

    /// Names are read, also those that point back, and a dot within a label is none between two.
    #[test]
    fn names_are_read() {
        let one = b"\xc0\x0c\0\x0c\0\x01\0\0\0\x3c\0\x08\x01A\x04test\0";
        let pointing = b"\xc0\x0c\0\x0c\0\x01\0\0\0\x3c\0\x06\x03x.y\xc0\x12";
        let found = parse_names(&query(), &response(&query(), &[one, pointing])).unwrap();

        let Names::Found(names) = found else { panic!("{found:?}") };
        assert_eq!(names[0], "a.test");
        assert_eq!(names[1], "x\\046y.192.in-addr.arpa");
    }

    /// A pointer to itself, or forward, gives no name.
    #[test]
    fn loops_are_refused() {
        let at = query().len() as u8 + 12;
        for target in [at, at + 2, 0] {
            let record = [&b"\xc0\x0c\0\x0c\0\x01\0\0\0\x3c\0\x02\xc0"[..], &[target]].concat();
            assert_eq!(parse_names(&query(), &response(&query(), &[&record])), None, "{target}");
        }
    }

    /// A name is confirmed by its address alone.
    #[test]
    fn names_are_confirmed() {
        let found = Addresses::Found(vec!["::ffff:192.0.2.9".parse().unwrap()]);
        assert!(confirms(&found, "192.0.2.9".parse().unwrap()));
        assert!(!confirms(&found, "192.0.2.8".parse().unwrap()));
        assert!(!confirms(&Addresses::Truncated, "192.0.2.9".parse().unwrap()));
    }

    proptest! {
        /// Any bytes are read or refused.
        #[test]
        fn any_bytes_are_read(records in proptest::collection::vec(any::<u8>(), 0..200), count in 0_u8..9) {
            let mut message = query();
            (message[2], message[7]) = (0x81, count);
            message.extend(records);
            let _ = parse_names(&query(), &message);
        }
    }
}
