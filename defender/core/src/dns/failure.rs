//! Answers that say no: what a client gets when there is nothing better to pass back.
use super::{FLAG_RECURSION_AVAILABLE, FLAG_RECURSION_DESIRED, FLAG_RESPONSE, HEADER, OPCODE, plain_name};

/// The server failed (`SERVFAIL`): resolvers ask the next one.
pub const SERVER_FAILED: u8 = 2;
/// The server does not know this kind of message (`NOTIMP`).
pub const NOT_IMPLEMENTED: u8 = 4;
/// The server does not want to answer (`REFUSED`).
pub const REFUSED: u8 = 5;

/// Makes an answer to `query` that carries nothing but the code (RFC 1035, section 4.1.1), with its id, its opcode and, when
/// that can be read, its question. None for what is shorter than a header or is itself an answer: answering those could
/// go on for ever.
#[must_use]
pub fn failure(query: &[u8], code: u8) -> Option<Vec<u8>> {
    if query.get(..HEADER)?[2] & FLAG_RESPONSE != 0 {
        return None;
    }
    let one_question = query[4..6] == [0, 1];
    let end = plain_name(query).map(|(_, end)| end + 4).filter(|&end| one_question && end <= query.len());
    let mut answer = query[..end.unwrap_or(HEADER)].to_vec();
    answer[2] = FLAG_RESPONSE | (query[2] & (OPCODE | FLAG_RECURSION_DESIRED));
    answer[3] = FLAG_RECURSION_AVAILABLE | (code & 0x0f);
    answer[4..HEADER].fill(0);
    answer[5] = end.is_some().into();
    Some(answer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{address_query, answers, parse_query},
        *,
    };

    /// A failure belongs to its query and says its code.
    #[test]
    fn a_failure_answers_its_query() {
        let query = address_query(7, "A.test", false).unwrap();

        let answer = failure(&query, SERVER_FAILED).unwrap();

        assert!(answers(&query, &answer));
        assert_eq!(answer[3] & 0x0f, SERVER_FAILED);
    }

    /// A message with an opcode or a question that we do not read is answered by its header alone.
    #[test]
    fn what_is_not_understood_is_answered_too() {
        let mut update = address_query(7, "a.test", false).unwrap();
        update[2] = 0x28;
        update[5] = 2;

        assert_eq!(failure(&update, NOT_IMPLEMENTED).unwrap(), b"\0\x07\xa8\x84\0\0\0\0\0\0\0\0");
    }

    proptest! {
        /// Hostile bytes never make it panic; an answer is never answered; what was parsed is echoed as the same question.
        #[test]
        fn total(query in prop::collection::vec(any::<u8>(), 0..60)) {
            let answer = failure(&query, REFUSED);
            if query.len() >= HEADER {
                prop_assert_eq!(answer.is_none(), query[2] & FLAG_RESPONSE != 0);
            }
            if parse_query(&query).is_some() {
                prop_assert!(answers(&query, &answer.unwrap()));
            }
        }

        /// What is parsed re-encodes to the same question, in the case that it came in.
        #[test]
        fn the_question_is_echoed_byte_by_byte(name in "[a-zA-Z0-9_]{1,30}(\\.[A-Za-z0-9]{1,9}){0,3}") {
            let query = address_query(7, &name, false).unwrap();

            prop_assert_eq!(&failure(&query, REFUSED).unwrap()[HEADER..], &query[HEADER..]);
        }
    }
}
