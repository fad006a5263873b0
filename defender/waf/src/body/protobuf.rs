//! Texts within a message of Protocol Buffers, whose fields nobody told us. Source: protobuf.dev, "Encoding".

/// How deep messages within messages are looked into.
const DEPTH: usize = 16;
/// Texts of one message that are told; a message has no more that matter.
const MOST: usize = 4096;

/// Tells each text of a message with the numbers of the fields in which it lies (`1.4`): what is text, and what is a message
/// itself. Bytes that can be both are told as text and looked into. False when the bytes are no message.
pub fn texts(message: &[u8], tell: &mut dyn FnMut(&str, &[u8])) -> bool {
    let Some(fields) = fields(message) else { return false };
    let mut left = MOST;
    within(&fields, "", DEPTH, &mut left, tell);
    true
}

/// A field that has a length: its number and its content.
type Field<'a> = (u64, &'a [u8]);

fn within(fields: &[Field<'_>], path: &str, depth: usize, left: &mut usize, tell: &mut dyn FnMut(&str, &[u8])) {
    for (number, content) in fields {
        if *left == 0 {
            return;
        }
        let path = if path.is_empty() { number.to_string() } else { format!("{path}.{number}") };
        if is_text(content) {
            *left -= 1;
            tell(&path, content);
        }
        if depth > 0
            && let Some(inner) = self::fields(content)
        {
            within(&inner, &path, depth - 1, left, tell);
        }
    }
}

/// The fields with a length of a message; none for what is no message.
fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = number(&mut rest)?;
        if key >> 3 == 0 {
            return None;
        }
        match key & 7 {
            0 => drop(number(&mut rest)?),
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                let (content, after) = rest.split_at_checked(length)?;
                found.push((key >> 3, content));
                rest = after;
            }
            5 => rest = rest.get(4..)?,
            // Groups are deprecated, and their content stands between two keys as if it were the message's own.
            3 | 4 => {}
            _ => return None,
        }
    }
    Some(found)
}

/// A number of seven bits a byte, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for index in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(7 * index)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| matches!(byte, 1..=8 | 11 | 12 | 14..=31 | 127);
    !bytes.is_empty()
        && std::str::from_utf8(bytes).is_ok()
        && bytes.iter().filter(|byte| control(byte)).count() * 8 <= bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(message: &[u8]) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        texts(message, &mut |path, text| found.push((path.to_owned(), String::from_utf8_lossy(text).into_owned())))
            .then_some(found)
    }

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// Texts are found beside numbers and within messages, under the numbers of their fields.
    #[test]
    fn texts_are_found() {
        let inner = [field(3, b"within"), vec![0x08, 0x96, 0x01]].concat();
        let message = [field(1, b"a text"), vec![0x15, 1, 2, 3, 4], field(2, &inner), field(4, &[0xff, 0xfe])].concat();

        let expected = [("1".to_owned(), "a text".to_owned()), ("2.3".to_owned(), "within".to_owned())];
        assert_eq!(found(&message).unwrap(), expected);
    }

    /// What ends too early, or has a key that there is not, is no message.
    #[test]
    fn other_bytes_are_no_message() {
        for bytes in [
            &b"\x0a\x05abc"[..],
            b"\x07",
            b"\x02\x01a",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x09abc",
        ] {
            assert_eq!(found(bytes), None, "{bytes:?}");
        }
        assert_eq!(found(b"").unwrap(), []);
    }

    proptest! {
        /// No bytes make the reader panic, and what is told stays in proportion to them.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut all = 0;
            texts(&bytes, &mut |_, text| all += text.len());
            prop_assert!(all <= (DEPTH + 1) * bytes.len());
        }
    }
}
