use proptest::prelude::*;

use super::*;

/// A query of glibc's for `WWW.Example.test`, type A, with an EDNS record that sets `DO`.
fn query_with_edns() -> Vec<u8> {
    let mut query = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x03WWW\x07Example\x04test\0\0\x01\0\x01".to_vec();
    query.extend_from_slice(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    query
}

/// A response to `query` with these records behind its question.
pub(super) fn response(query: &[u8], records: &[&[u8]]) -> Vec<u8> {
    let mut response = query.to_vec();
    response[2] |= FLAG_RESPONSE;
    response[7] = u8::try_from(records.len()).unwrap();
    response.extend(records.concat());
    response
}

/// The question is read: name in lower case without the root's dot, type by name, id.
#[test]
fn reads_a_question() {
    let question = parse_query(&query_with_edns()).unwrap();

    assert_eq!(question, Question { id: 0x1234, name: "www.example.test".into(), record_type: "A".into() });
}

/// The refusal keeps id, question and the EDNS record's `DO` bit, and says that the name does not exist.
#[test]
fn a_refusal_keeps_what_the_query_said() {
    let query = query_with_edns();

    let refusal = nxdomain(&query).unwrap();

    assert!(answers(&query, &refusal));
    assert_eq!(refusal[2..12], *b"\x81\x83\0\x01\0\0\0\0\0\x01");
    assert_eq!(refusal[query.len() - 11..], *b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
}

/// A query without EDNS is refused without EDNS (RFC 6891, section 7).
#[test]
fn no_edns_is_added() {
    let query = address_query(7, "a.test", false).unwrap();

    let refusal = nxdomain(&query).unwrap();

    assert_eq!(refusal.len(), query.len());
    assert_eq!(parse_addresses(&query, &refusal), Some(Addresses::Found(vec![])));
}

/// A response counts only with the query's id, its name (in any case), its type and its class.
#[test]
fn a_response_must_match() {
    let query = address_query(7, "a.test", false).unwrap();
    let good = response(&query, &[]);
    let changed = |at: usize, byte: u8| {
        let mut other = good.clone();
        other[at] = byte;
        other
    };

    assert!(answers(&query, &good));
    assert!(answers(&query, &changed(13, b'A')));
    for (at, byte) in [(1, 8), (2, 0x01), (2, 0xa8), (5, 2), (13, b'b'), (20, 1), (21, 28), (23, 3)] {
        assert!(!answers(&query, &changed(at, byte)), "byte {at} as {byte}");
    }
}

/// What is no standard query with exactly one question is not passed on: two parsers could read it differently.
#[test]
fn ambiguous_messages_are_no_queries() {
    let good = address_query(7, "a.test", false).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut other = good.clone();
        other[at] = byte;
        other
    };

    assert!(parse_query(&good).is_some());
    for (what, message) in [
        ("a response", changed(2, 0x81)),
        ("an update", changed(2, 0x28)),
        ("no question", changed(5, 0)),
        ("two questions", changed(5, 2)),
        ("an answer in a query", changed(7, 1)),
        ("a pointer in the question", changed(12, 0xc0)),
        ("a cut message", good[..good.len() - 1].to_vec()),
    ] {
        assert_eq!(parse_query(&message), None, "{what}");
    }
}

/// Dots and control bytes inside a label are escaped, so a label cannot pass for two.
#[test]
fn odd_bytes_of_a_label_are_escaped() {
    let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x06a.\x00\\\xff \x04test\0\0\x41\0\x01";

    let question = parse_query(query).unwrap();

    assert_eq!((question.name.as_str(), question.record_type.as_str()), (r"a\046\000\092\255\032.test", "HTTPS"));
}

/// Addresses are read past aliases; records of other kinds are passed over.
#[test]
fn addresses_are_read_past_aliases() {
    let query = address_query(7, "a.test", false).unwrap();
    let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e";
    let address = b"\x01b\xc0\x0e\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";

    let found = parse_addresses(&query, &response(&query, &[alias, address]));

    assert_eq!(found, Some(Addresses::Found(vec![Ipv4Addr::new(192, 0, 2, 1).into()])));
}

/// A truncated answer asks for TCP, and a server's failure is no answer.
#[test]
fn truncation_and_failure_are_told_apart() {
    let query = address_query(7, "a.test", true).unwrap();
    let mut truncated = response(&query, &[]);
    truncated[2] |= FLAG_TRUNCATED;
    let mut failed = response(&query, &[]);
    failed[3] = 2;

    assert_eq!(parse_addresses(&query, &truncated), Some(Addresses::Truncated));
    assert_eq!(parse_addresses(&query, &failed), None);
}

/// A question that may not be asked becomes one with the same id for a name that does not exist, and carries nothing else.
#[test]
fn a_question_goes_nowhere() {
    let query = address_query(7, "secret.evil.test", true).unwrap();

    let question = parse_query(&nowhere(&query).unwrap()).unwrap();

    assert_eq!((question.id, question.name.as_str()), (7, "invalid"));
    assert_eq!(nowhere(b"no query at all"), None);
}

/// Names that no message can carry make no query.
#[test]
fn names_that_do_not_fit_make_no_query() {
    let (long_label, long_name) = ("a".repeat(64), format!("{0}.{0}.{0}.{0}", "a".repeat(63)));
    for name in ["", ".", "a..b", &long_label, &long_name] {
        assert_eq!(address_query(1, name, false), None, "{name}");
    }
}

proptest! {
    /// Hostile bytes, also ones that begin like a message, never make these functions panic, and what is refused is
    /// answered with the query's own question.
    #[test]
    fn total_on_hostile_bytes(
        start in 0usize..40,
        tail in prop::collection::vec(any::<u8>(), 0..80),
        other in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut message = query_with_edns();
        message.truncate(start);
        message.extend_from_slice(&tail);
        if let Some(refusal) = nxdomain(&message) {
            prop_assert!(answers(&message, &refusal));
        }
        let mut reply = response(&query_with_edns(), &[]);
        reply.truncate(start + 12);
        reply.extend_from_slice(&other);
        let _ = parse_addresses(&query_with_edns(), &reply);
        let _ = answers(&message, &other);
    }

    /// The name of a query that we made is read back, whatever host name it is.
    #[test]
    fn queries_are_read_back(id: u16, name in "[a-z0-9_-]{1,63}(\\.[a-z0-9-]{1,20}){0,5}", v6: bool) {
        let query = address_query(id, &name, v6).unwrap();

        let question = parse_query(&query).unwrap();

        prop_assert_eq!((question.id, question.name), (id, name));
    }
}
