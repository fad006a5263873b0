//! Character sets as UTF-8. An application that knows a charset which the rules do not read sees another text than they.
//! Sources: RFC 2152 (UTF-7), Unicode 15 chapter 3 (UTF-16, UTF-32), IBM CDRA code page 37.

use std::sync::LazyLock;

/// What is known of a charset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// ASCII stands for itself: UTF-8, Latin and Windows code pages.
    Plain,
    /// UTF-16; big endian when no byte order mark says otherwise.
    Utf16,
    /// UTF-16 of little endian.
    Utf16Little,
    /// UTF-32; big endian when no byte order mark says otherwise.
    Utf32,
    /// UTF-32 of little endian.
    Utf32Little,
    /// UTF-7.
    Utf7,
    /// EBCDIC, code page 37.
    Ebcdic,
}

/// Names of charsets in which ASCII stands for itself, and what those begin with that come in families.
const PLAIN: [&str; 7] = ["utf-8", "utf8", "us-ascii", "ascii", "latin1", "koi8-r", "koi8-u"];
const PLAIN_FAMILIES: [&str; 4] = ["iso-8859-", "iso8859-", "windows-125", "cp125"];

impl Charset {
    /// The charset of this name (IANA's, in any case); nothing for one that is not read here.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let name = String::from_utf8_lossy(name).trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        let known = match name.as_str() {
            "utf-16" | "utf16" | "utf-16be" | "utf16be" | "ucs-2" | "iso-10646-ucs-2" => Self::Utf16,
            "utf-16le" | "utf16le" => Self::Utf16Little,
            "utf-32" | "utf32" | "utf-32be" | "utf32be" | "ucs-4" => Self::Utf32,
            "utf-32le" | "utf32le" => Self::Utf32Little,
            "utf-7" | "utf7" | "unicode-1-1-utf-7" => Self::Utf7,
            "ibm037" | "ibm-037" | "cp037" | "ibm37" | "ebcdic-cp-us" | "ebcdic-cp-ca" | "ebcdic-cp-wt"
            | "ebcdic-cp-nl" | "csibm037" | "ibm500" | "cp500" | "ebcdic-cp-be" | "ebcdic-cp-ch" | "ibm1047"
            | "ibm01140" | "cp1140" => Self::Ebcdic,
            name if PLAIN.contains(&name) || PLAIN_FAMILIES.iter().any(|family| name.starts_with(family)) => {
                Self::Plain
            }
            _ => return None,
        };
        Some(known)
    }

    /// The charset that a text's first bytes give away: a byte order mark, or, as in RFC 4627 section 3, zeros between ASCII.
    #[must_use]
    pub fn of_beginning(text: &[u8]) -> Option<Self> {
        Some(match text {
            [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=0x7f, ..] => Self::Utf32,
            [0xff, 0xfe, 0, 0, ..] | [1..=0x7f, 0, 0, 0, ..] => Self::Utf32Little,
            [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => Self::Utf16Little,
            [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Self::Utf16,
            _ => return None,
        })
    }

    /// The text as UTF-8, nothing where the bytes say the same already. What means nothing becomes U+FFFD.
    #[must_use]
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain => text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec),
            Self::Utf16 | Self::Utf16Little => Some(utf16(text, self == Self::Utf16Little)),
            Self::Utf32 | Self::Utf32Little => Some(utf32(text, self == Self::Utf32Little)),
            Self::Utf7 => Some(utf7(text)),
            Self::Ebcdic => Some(ebcdic(text)),
        }
    }
}

fn push(text: &mut Vec<u8>, character: char) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn utf16(text: &[u8], little: bool) -> Vec<u8> {
    let (text, little) = match text {
        [0xff, 0xfe, rest @ ..] => (rest, true),
        [0xfe, 0xff, rest @ ..] => (rest, false),
        _ => (text, little),
    };
    let units = text.chunks(2).map(|pair| match (pair, little) {
        ([first, second], true) => u16::from_le_bytes([*first, *second]),
        ([first, second], false) => u16::from_be_bytes([*first, *second]),
        _ => 0xfffd,
    });
    let mut decoded = Vec::with_capacity(text.len() / 2);
    for character in char::decode_utf16(units) {
        push(&mut decoded, character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    decoded
}

fn utf32(text: &[u8], little: bool) -> Vec<u8> {
    let (text, little) = match text {
        [0xff, 0xfe, 0, 0, rest @ ..] => (rest, true),
        [0, 0, 0xfe, 0xff, rest @ ..] => (rest, false),
        _ => (text, little),
    };
    let mut decoded = Vec::with_capacity(text.len() / 4);
    for unit in text.chunks(4) {
        let point = match (<[u8; 4]>::try_from(unit), little) {
            (Ok(unit), true) => u32::from_le_bytes(unit),
            (Ok(unit), false) => u32::from_be_bytes(unit),
            _ => 0xfffd,
        };
        push(&mut decoded, char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    decoded
}

/// `+` begins base64 of UTF-16 without padding, anything else ends it, a `-` goes with it; `+-` is a `+`.
fn utf7(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(plus) = memchr::memchr(b'+', rest) {
        decoded.extend_from_slice(&rest[..plus]);
        rest = &rest[plus + 1..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)).count();
        if length == 0 {
            decoded.push(b'+');
        } else {
            let mut units = super::base64::bytes(&rest[..length]);
            units.truncate(units.len() & !1);
            decoded.extend_from_slice(&utf16(&units, false));
        }
        rest = &rest[length..];
        rest = rest.strip_prefix(b"-").unwrap_or(rest);
    }
    decoded.extend_from_slice(rest);
    decoded
}

/// A text in which UTF-8 was written longer than needed, or as full-width letters, with plain ASCII instead, and without characters
/// that have no width; nothing when there is none of these. Some readers take `%c0%bc` for `<`, databases take `＇` for a quote. Source: RFC 3629, section 3.
#[must_use]
pub(super) fn shortest(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr3(0xc0, 0xc1, 0xe0, text).or_else(|| memchr::memchr3(0xe2, 0xef, 0xf0, text))?;
    let mut found = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some((first, after)) = rest.split_first() {
        let (byte, length) = match rest {
            [0xc0 | 0xc1, second @ 0x80..=0xbf, ..] => ((first & 1) << 6 | second & 0x3f, 2),
            [0xe0, second @ (0x80 | 0x81), third @ 0x80..=0xbf, ..] => ((second & 1) << 6 | third & 0x3f, 3),
            [0xf0, 0x80, third @ (0x80 | 0x81), fourth @ 0x80..=0xbf, ..] => ((third & 1) << 6 | fourth & 0x3f, 4),
            [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0, ..] | [0xef, 0xbb, 0xbf, ..] => {
                changed = true;
                rest = &rest[3..];
                continue;
            }
            [0xef, 0xbc, third @ 0x81..=0xbf, ..] => (third - 0x60, 3),
            [0xef, 0xbd, third @ 0x80..=0x9e, ..] => (third - 0x20, 3),
            _ => {
                found.push(*first);
                rest = after;
                continue;
            }
        };
        changed = true;
        found.push(byte);
        rest = &rest[length..];
    }
    changed.then_some(found)
}

/// Code page 37 from 0x40 on; before it are controls, of which tab, CR and LF matter here.
const CODE_PAGE_37: &str = concat!(
    " \u{a0}âäàáãåçñ¢.<(+|&éêëèíîïìß!$*);¬-/ÂÄÀÁÃÅÇÑ¦,%_>?",
    "øÉÊËÈÍÎÏÌ`:#@'=\"Øabcdefghi«»ðýþ±°jklmnopqrªºæ¸Æ¤",
    "µ~stuvwxyz¡¿ÐÝÞ®^£¥·©§¶¼½¾[]¯¨´×{ABCDEFGHI\u{ad}ôöòóõ",
    "}JKLMNOPQR¹ûüùúÿ\\÷STUVWXYZ²ÔÖÒÓÕ0123456789³ÛÜÙÚ\u{9f}",
);

static TABLE: LazyLock<Vec<char>> = LazyLock::new(|| CODE_PAGE_37.chars().collect());

fn ebcdic(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    for byte in text {
        let character = match byte {
            0x05 => '\t',
            0x0d => '\r',
            0x15 | 0x25 => '\n',
            0..=0x3f => ' ',
            _ => TABLE.get(usize::from(*byte) - 0x40).copied().unwrap_or(' '),
        };
        push(&mut decoded, character);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(name: &str, text: &[u8]) -> String {
        String::from_utf8(Charset::named(name.as_bytes()).unwrap().decode(text).unwrap()).unwrap()
    }

    /// One text of each charset, as other programs write it.
    #[test]
    fn charsets_are_read() {
        assert_eq!(decoded("UTF-7", b"+ADw-script+AD4-a+-b"), "<script>a+b");
        assert_eq!(decoded("utf-16", b"\xff\xfe<\0a\0"), "<a");
        assert_eq!(decoded("\"UTF-16BE\"", b"\0<\xd8\x3d\xde\x00"), "<😀");
        assert_eq!(decoded("utf-32le", b"<\0\0\0"), "<");
        assert_eq!(decoded("IBM037", b"\x4c\xa2\x83\x99\x89\x97\xa3\x6e\x7d\xf1\x7e\xf1"), "<script>'1=1");
        assert_eq!(Charset::named(b"x-unheard-of"), None);
        assert_eq!(Charset::named(b"ISO-8859-15"), Some(Charset::Plain));
        assert_eq!(CODE_PAGE_37.chars().count(), 0x100 - 0x40);
    }

    /// ASCII that was written in a longer way is found, whatever the way.
    #[test]
    fn long_forms_become_short() {
        for text in [
            &b"\xc0\xbca"[..],
            b"\xe0\x80\xbca",
            b"\xf0\x80\x80\xbca",
            "＜a".as_bytes(),
            "＜ａ".as_bytes(),
            "<\u{200b}a".as_bytes(),
        ] {
            assert_eq!(shortest(text).as_deref(), Some(&b"<a"[..]), "{text:?}");
        }
        assert_eq!(shortest("à < é 한".as_bytes()), None);
    }

    /// Zeros between ASCII letters give wide charsets away, byte order marks too.
    #[test]
    fn beginnings_tell_wide_charsets() {
        assert_eq!(Charset::of_beginning(b"{\0\"\0"), Some(Charset::Utf16Little));
        assert_eq!(Charset::of_beginning(b"\0\0\0{"), Some(Charset::Utf32));
        assert_eq!(Charset::of_beginning(b"\xfe\xff\0a"), Some(Charset::Utf16));
        assert_eq!(Charset::of_beginning(b"{\"a\""), None);
    }

    proptest! {
        /// Any text comes back from the wide charsets, whichever end comes first.
        #[test]
        fn wide_texts_come_back(text in "\\PC{0,40}") {
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let wide: Vec<u8> = text.chars().flat_map(|one| (one as u32).to_be_bytes()).collect();
            prop_assert_eq!(decoded("utf-16be", &big), text.trim_start_matches('\u{feff}'));
            prop_assert_eq!(decoded("utf-16le", &little), text.trim_start_matches('\u{feff}'));
            prop_assert_eq!(decoded("utf-32", &wide), text.trim_start_matches('\u{feff}'));
        }

        /// No bytes make a charset panic, and what comes out of all but UTF-7, where bytes beyond ASCII stay, is UTF-8.
        #[test]
        fn any_bytes_become_utf8(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            for charset in [Charset::Utf16, Charset::Utf16Little, Charset::Utf32, Charset::Utf32Little, Charset::Ebcdic] {
                prop_assert!(String::from_utf8(charset.decode(&bytes).unwrap()).is_ok());
            }
            let _ = Charset::Utf7.decode(&bytes);
        }
    }
}
