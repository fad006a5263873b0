//! JSON as a stream of leaves: no tree is built. Source: RFC 8259.

use super::BodyError;

/// Calls `leaf` with the path (`json.items.0.name`) and the value of every string, number, literal and empty container.
///
/// Names that occur twice are told twice: applications disagree about which one counts. Paths that would come to many times
/// the text, as long names of large containers do, are told without their beginnings from then on.
///
/// # Errors
/// [`BodyError`] at the first byte that is no JSON, or deeper than `depth`; what stood before was told.
pub(crate) fn read(text: &[u8], depth: usize, leaf: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), BodyError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let path = b"json".to_vec();
    let mut reader = Reader { text, at: 0, path, told: 0, open: Vec::new(), depth, scratch: Vec::new() };
    reader.document(leaf)
}

/// Bytes of paths that may be told for one of the text, and those that may be told in any case.
const PATHS: usize = 8;
const FREE_PATHS: usize = 64 << 10;
/// What remains of a container's path once there were more.
const SHORT_PATH: usize = 32;

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    path: Vec<u8>,
    /// Bytes of paths that were told.
    told: usize,
    open: Vec<Container>,
    depth: usize,
    scratch: Vec<u8>,
}

/// A container that is not closed yet.
struct Container {
    /// How long the path was before it.
    path: usize,
    /// The next index of an array; nothing for an object.
    index: Option<usize>,
}

impl<'t> Reader<'t> {
    fn document(&mut self, leaf: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), BodyError> {
        loop {
            self.blanks();
            let opened = self.value(leaf)?;
            if !opened && !self.next_place()? {
                break;
            }
        }
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { Err(self.error("something follows the value")) }
    }

    /// Reads a value; true when it opened a container that has something in it, and the place of that was made.
    fn value(&mut self, leaf: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, BodyError> {
        match self.peek() {
            Some(b'{') => return self.open(b'}', leaf),
            Some(b'[') => return self.open(b']', leaf),
            Some(b'"') => {
                self.string()?;
                leaf(&self.path, &self.scratch);
                self.count_path();
            }
            Some(_) => {
                let value = self.word()?;
                leaf(&self.path, value);
                self.count_path();
            }
            None => return Err(self.error("a value is missing")),
        }
        Ok(false)
    }

    /// Keeps what is told linear in the text.
    fn count_path(&mut self) {
        self.told += self.path.len();
        if self.told > FREE_PATHS + PATHS * self.text.len() {
            for container in &mut self.open {
                container.path = container.path.min(SHORT_PATH);
            }
        }
    }

    fn open(&mut self, close: u8, leaf: &mut dyn FnMut(&[u8], &[u8])) -> Result<bool, BodyError> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(close) {
            self.at += 1;
            leaf(&self.path, b"");
            self.count_path();
            return Ok(false);
        }
        if self.open.len() == self.depth {
            return Err(self.error("it is nested too deep"));
        }
        let index = (close == b']').then_some(0);
        self.open.push(Container { path: self.path.len(), index });
        self.place()?;
        Ok(true)
    }

    /// Goes on after a value: true when another one must follow.
    fn next_place(&mut self) -> Result<bool, BodyError> {
        loop {
            let Some(container) = self.open.last_mut() else { return Ok(false) };
            self.path.truncate(container.path);
            let close = if container.index.is_some() { b']' } else { b'}' };
            if let Some(index) = &mut container.index {
                *index += 1;
            }
            self.blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blanks();
                    self.place()?;
                    return Ok(true);
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    self.open.pop();
                }
                _ => return Err(self.error("neither `,` nor the end of the container follows")),
            }
        }
    }

    /// Appends the name or the index of the value that comes next to the path.
    fn place(&mut self) -> Result<(), BodyError> {
        let index = self.open.last().and_then(|container| container.index);
        if let Some(index) = index {
            self.path.push(b'.');
            self.path.extend_from_slice(index.to_string().as_bytes());
            return Ok(());
        }
        if self.peek() != Some(b'"') {
            return Err(self.error("a name is missing"));
        }
        self.string()?;
        self.path.push(b'.');
        self.path.extend_from_slice(&self.scratch);
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.error("`:` is missing"));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string into the scratch buffer, unescaped.
    fn string(&mut self) -> Result<(), BodyError> {
        self.at += 1;
        self.scratch.clear();
        loop {
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            self.scratch.extend_from_slice(&rest[..length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.error("a string has no end, or a control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), BodyError> {
        let plain = match self.text.get(self.at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.code_point(),
            _ => return Err(self.error("an escape is unknown")),
        };
        self.at += 2;
        self.scratch.push(plain);
        Ok(())
    }

    /// `\uXXXX`, two of them for what lies beyond the basic plane; half a pair becomes U+FFFD.
    fn code_point(&mut self) -> Result<(), BodyError> {
        let first = self.hexadecimal()?;
        let mut point = u32::from(first);
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let before = self.at;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                point = 0x10000 + ((point - 0xd800) << 10) + (u32::from(second) - 0xdc00);
            } else {
                self.at = before;
            }
        }
        let character = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<u16, BodyError> {
        let digits = self.text.get(self.at + 2..self.at + 6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = text.and_then(|text| u16::from_str_radix(text, 16).ok());
        self.at += 6;
        unit.ok_or_else(|| BodyError("the JSON is malformed: `\\u` without four hexadecimal digits".to_owned()))
    }

    /// A number or a literal, as it is written; `null` is empty.
    fn word(&mut self) -> Result<&'t [u8], BodyError> {
        let text = self.text;
        let rest = &text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        let word = &rest[..length];
        if !matches!(word, b"true" | b"false" | b"null") && !is_number(word) {
            return Err(self.error("a value is neither string, number, literal nor container"));
        }
        self.at += length;
        Ok(if word == b"null" { b"" } else { word })
    }

    fn blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn error(&self, problem: &str) -> BodyError {
        BodyError(format!("the JSON is malformed at byte {}: {problem}", self.at))
    }
}

/// Source: RFC 8259, section 6.
fn is_number(word: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(word);
    if whole == 0 || (whole > 1 && word[0] == b'0') {
        return false;
    }
    let mut rest = &word[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    let [b'e' | b'E', exponent @ ..] = rest else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn leaves(text: &[u8]) -> Result<Vec<(String, String)>, BodyError> {
        let mut found = Vec::new();
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read(text, 64, &mut |name, value| found.push((text_of(name), text_of(value))))?;
        Ok(found)
    }

    /// The same by a tree of another's making.
    fn expected(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    expected(item, &format!("{path}.{index}"), found);
                }
            }
            Value::Object(items) if !items.is_empty() => {
                for (name, item) in items {
                    expected(item, &format!("{path}.{name}"), found);
                }
            }
            Value::String(text) => found.push((path.to_owned(), text.clone())),
            Value::Number(_) | Value::Bool(_) => found.push((path.to_owned(), value.to_string())),
            _ => found.push((path.to_owned(), String::new())),
        }
    }

    #[test]
    fn leaves_have_paths() {
        let found = leaves(br#" {"a":[1,{"b":"x\u00e9\ud83d\ude00\/"}],"a":null,"c":{}} "#).unwrap();

        let pairs: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("json.a.0", "1"), ("json.a.1.b", "xé😀/"), ("json.a", ""), ("json.c", "")]);
    }

    /// A long name of a large array is told with its first items, not with each: that would be a hundred times the text.
    #[test]
    fn paths_stay_in_proportion_to_the_text() {
        let text = format!("{{\"{}\":[{}1]}}", "n".repeat(100_000), "1,".repeat(50_000));
        let (mut told, mut leaves) = (0, 0);
        read(text.as_bytes(), 64, &mut |name, _| {
            told += name.len();
            leaves += 1;
        })
        .unwrap();

        assert_eq!(leaves, 50_001);
        assert!(told < 20 * text.len(), "{told}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\" 1}",
            "{a:1}",
            "01",
            "1.",
            "\"\\x\"",
            "\"\\u12\"",
            "[1] 2",
            "nul",
            "\"\n\"",
            "+1",
            "1e",
        ] {
            assert!(leaves(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(leaves("[".repeat(65).as_bytes()).is_err());
        assert!(leaves(format!("{}1{}", "[".repeat(64), "]".repeat(64)).as_bytes()).is_ok());
    }

    proptest! {
        /// Whatever serde_json reads is read the same here, and what it refuses is refused (numbers beyond its range aside).
        #[test]
        fn it_agrees_with_another_reader(text in r#"[\[\]{}",:a1. \\ntue\-]{0,24}"#) {
            let theirs = serde_json::from_str::<Value>(&text);
            let ours = leaves(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}", text);
        }

        /// A document of known leaves gives just those.
        #[test]
        fn documents_come_back(names in proptest::collection::vec("[a-z\"\\\\é\n]{1,5}", 0..6), deep in any::<bool>()) {
            let mut object: serde_json::Map<String, Value> =
                names.iter().map(|name| (name.clone(), Value::from(format!("{name}!")))).collect();
            if deep {
                object = [("list".to_owned(), Value::from(vec![Value::Object(object), Value::from(true)]))].into_iter().collect();
            }
            let document = Value::Object(object);
            let mut wanted = Vec::new();
            expected(&document, "json", &mut wanted);
            prop_assert_eq!(leaves(document.to_string().as_bytes()).unwrap(), wanted);
        }
    }
}
