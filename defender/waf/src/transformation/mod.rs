//! What is done to a value before an operator sees it. Source: `ModSecurity` reference manual v3, "Transformation functions";
//! where the manual is silent, the behaviour of libmodsecurity 3, since the Core Rule Set's tests hold to it.
//!
//! Every transformation takes time linear in the value and gives at most [`MOST_GROWTH`] bytes for each of its bytes (and
//! the 20 bytes of a hash). None can fail: what cannot be decoded stays as it is.

mod case;
mod comment;
mod digest;
mod encoding;
mod escape;
mod html;
mod path;
mod url;
mod utf8;
mod whitespace;

#[cfg(test)]
mod properties;
// Fuzz targets ask it too (defender/fuzz).
#[cfg(any(test, fuzzing))]
#[allow(missing_docs, clippy::unwrap_used, reason = "a yardstick, not part of what is built")]
pub mod reference;
#[cfg(test)]
mod samples;

use std::borrow::Cow;

pub use url::UnicodeMap;

/// The most bytes that a transformation makes of one: `urlEncode` and `utf8toUnicode` write `%xx` and `%uxxxx`, the latter
/// with the first byte of an overlong form repeated.
pub const MOST_GROWTH: usize = 4;

/// One transformation. `t:none` has none: it empties the list when rules are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is named as SecLang names it
pub enum Transformation {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

use Transformation as T;

/// Every transformation with its name in `SecLang`, lower case; British spellings stand after the ones of the enum.
const NAMES: [(&str, Transformation); 34] = [
    ("base64decode", T::Base64Decode),
    ("base64decodeext", T::Base64DecodeExt),
    ("base64encode", T::Base64Encode),
    ("cmdline", T::CmdLine),
    ("compresswhitespace", T::CompressWhitespace),
    ("cssdecode", T::CssDecode),
    ("escapeseqdecode", T::EscapeSeqDecode),
    ("hexdecode", T::HexDecode),
    ("hexencode", T::HexEncode),
    ("htmlentitydecode", T::HtmlEntityDecode),
    ("jsdecode", T::JsDecode),
    ("length", T::Length),
    ("lowercase", T::Lowercase),
    ("md5", T::Md5),
    ("normalizepath", T::NormalizePath),
    ("normalizepathwin", T::NormalizePathWin),
    ("removecomments", T::RemoveComments),
    ("removecommentschar", T::RemoveCommentsChar),
    ("removenulls", T::RemoveNulls),
    ("removewhitespace", T::RemoveWhitespace),
    ("replacecomments", T::ReplaceComments),
    ("replacenulls", T::ReplaceNulls),
    ("sha1", T::Sha1),
    ("sqlhexdecode", T::SqlHexDecode),
    ("trim", T::Trim),
    ("trimleft", T::TrimLeft),
    ("trimright", T::TrimRight),
    ("uppercase", T::Uppercase),
    ("urldecode", T::UrlDecode),
    ("urldecodeuni", T::UrlDecodeUni),
    ("urlencode", T::UrlEncode),
    ("utf8tounicode", T::Utf8ToUnicode),
    ("normalisepath", T::NormalizePath),
    ("normalisepathwin", T::NormalizePathWin),
];

impl Transformation {
    /// The transformation of this name, spelt in any case, without `t:`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, transformation)| *transformation)
    }

    /// Every transformation once.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES[..32].iter().map(|(_, transformation)| *transformation)
    }

    /// The value transformed; borrowed exactly when nothing changed.
    #[must_use]
    pub fn apply(self, value: &[u8]) -> Cow<'_, [u8]> {
        self.apply_with(value, None)
    }

    /// As [`Transformation::apply`], with the map of `SecUnicodeMapFile` for `%uHHHH` in `urlDecodeUni`.
    #[must_use]
    pub fn apply_with<'a>(self, value: &'a [u8], map: Option<&UnicodeMap>) -> Cow<'a, [u8]> {
        match self.changed(value, map) {
            Some(output) if output != value => Cow::Owned(output),
            _ => Cow::Borrowed(value),
        }
    }

    /// What becomes of the value; nothing when a first look tells that it stays as it is.
    fn changed(self, value: &[u8], map: Option<&UnicodeMap>) -> Option<Vec<u8>> {
        match self {
            T::Base64Decode => encoding::base64_decode(value),
            T::Base64DecodeExt => encoding::base64_decode_ext(value),
            T::Base64Encode => Some(encoding::base64_encode(value)),
            T::CmdLine => whitespace::cmd_line(value),
            T::CompressWhitespace => whitespace::compress(value),
            T::CssDecode => escape::css_decode(value),
            T::EscapeSeqDecode => escape::sequence_decode(value),
            T::HexDecode => Some(encoding::hex_decode(value)),
            T::HexEncode => Some(encoding::hex_encode(value)),
            T::HtmlEntityDecode => html::entity_decode(value),
            T::JsDecode => escape::js_decode(value),
            T::Length => Some(value.len().to_string().into_bytes()),
            T::Lowercase => case::lower(value),
            T::Md5 => Some(digest::md5(value)),
            T::NormalizePath => path::normalize(value, false),
            T::NormalizePathWin => path::normalize(value, true),
            T::RemoveComments => comment::remove(value),
            T::RemoveCommentsChar => comment::remove_characters(value),
            T::RemoveNulls => whitespace::remove_nulls(value),
            T::RemoveWhitespace => whitespace::remove(value),
            T::ReplaceComments => comment::replace(value),
            T::ReplaceNulls => whitespace::replace_nulls(value),
            T::Sha1 => Some(digest::sha1(value)),
            T::SqlHexDecode => encoding::sql_hex_decode(value),
            T::Trim => whitespace::trim(value, true, true),
            T::TrimLeft => whitespace::trim(value, true, false),
            T::TrimRight => whitespace::trim(value, false, true),
            T::Uppercase => case::upper(value),
            T::UrlDecode => url::decode(value),
            T::UrlDecodeUni => url::decode_unicode(value, map),
            T::UrlEncode => Some(url::encode(value)),
            T::Utf8ToUnicode => utf8::to_unicode(value),
        }
    }
}

/// What C's `isspace` holds for white space in the C locale; the transformations go by it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0B | 0x0C | b'\r')
}

/// The value of a hexadecimal digit.
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that the first two bytes write in hexadecimal.
fn hex_pair(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [high, low, ..] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    }
}

/// The low byte of four hexadecimal digits, as `ModSecurity` takes it: `ff01` to `ff5e`, the full-width forms of ASCII,
/// become the ASCII characters that they look like.
fn low_byte(digits: [u8; 4]) -> Option<u8> {
    let high = hex_pair(&digits[..2])?;
    let low = hex_pair(&digits[2..])?;
    Some(if high == 0xFF && low > 0 && low < 0x5F { low + 0x20 } else { low })
}
