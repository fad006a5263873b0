//! Which transformations leave a value as it is, told by its bytes and a few of its pairs.

use crate::transformation::Transformation;

use super::sets::ByteSet;

/// What is looked at in a value to tell which transformations leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Its bytes.
    pub present: ByteSet,
    marks: u8,
}

/// Two spaces side by side.
const SPACES: u8 = 1;
/// A space before `/` or `(`.
const SPACE_BEFORE: u8 = 2;
/// `//`, `./`, or a dot at the end: without them a path is in its normal form.
const DOTS: u8 = 4;
/// All marks, one by one.
pub(crate) const MARKS: [u8; 3] = [SPACES, SPACE_BEFORE, DOTS];

impl Shape {
    /// The shape of a value.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        Self::with_bytes(value, ByteSet::of(value))
    }

    /// As [`Shape::of`], of a value whose bytes are known.
    #[must_use]
    pub fn with_bytes(value: &[u8], present: ByteSet) -> Self {
        let mut marks = if value.last() == Some(&b'.') { DOTS } else { 0 };
        if present.contains(b' ') || present.contains(b'/') {
            let mut before = 0;
            for byte in value {
                marks |= match (before, *byte) {
                    (b' ', b' ') => SPACES,
                    (b' ', b'/' | b'(') => SPACE_BEFORE,
                    (b'/' | b'.', b'/') => DOTS,
                    _ => 0,
                };
                before = *byte;
            }
        }
        Self { present, marks }
    }

    /// A value of one byte, or of none, as triggers see it; for tables.
    pub(crate) const fn single(present: ByteSet, marks: u8) -> Self {
        Self { present, marks }
    }

    /// Whether the value has a mark.
    pub(crate) const fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Whether it has any of them.
    pub(crate) const fn is_marked(&self) -> bool {
        self.marks != 0
    }
}

/// The bytes and the pairs without which a chain of transformations changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformationTriggers {
    bytes: ByteSet,
    marks: u8,
}

const SPACE: ByteSet = ByteSet::from_bytes(b" \t\n\x0B\x0C\r");
const UPPER: ByteSet = ByteSet::EMPTY.with(b'A', b'Z');
const HIGH: ByteSet = ByteSet::EMPTY.with(0x80, 0xFF);

impl TransformationTriggers {
    /// Those of one transformation. One that changes values of any bytes has them all; the empty value has none of them.
    #[must_use]
    pub const fn of(transformation: Transformation) -> Self {
        use Transformation as T;
        let marks = match transformation {
            T::CompressWhitespace => SPACES,
            T::CmdLine => SPACES | SPACE_BEFORE,
            T::NormalizePath | T::NormalizePathWin => DOTS,
            _ => 0,
        };
        let bytes = match transformation {
            T::Lowercase => UPPER,
            T::Uppercase => ByteSet::EMPTY.with(b'a', b'z'),
            T::RemoveNulls | T::ReplaceNulls => ByteSet::from_bytes(b"\0"),
            // A single space between words stays as it is; other blanks become one.
            T::CompressWhitespace => ByteSet::from_bytes(b"\t\n\x0B\x0C\r"),
            T::Trim | T::TrimLeft | T::TrimRight => SPACE,
            T::RemoveWhitespace => SPACE.with(0xA0, 0xA0),
            T::UrlDecode | T::UrlDecodeUni => ByteSet::from_bytes(b"%+"),
            T::HtmlEntityDecode => ByteSet::from_bytes(b"&"),
            T::JsDecode | T::CssDecode | T::EscapeSeqDecode | T::NormalizePathWin => ByteSet::from_bytes(b"\\"),
            T::Utf8ToUnicode => HIGH.with(0, 0),
            T::ReplaceComments => ByteSet::from_bytes(b"*"),
            T::RemoveComments | T::RemoveCommentsChar => ByteSet::from_bytes(b"*-#"),
            T::NormalizePath => ByteSet::EMPTY,
            T::CmdLine => ByteSet::from_bytes(b"\"'\\^,;\t\r\n").or(UPPER),
            T::SqlHexDecode => ByteSet::from_bytes(b"xX"),
            T::Base64Decode
            | T::Base64DecodeExt
            | T::Base64Encode
            | T::HexDecode
            | T::HexEncode
            | T::Length
            | T::Md5
            | T::Sha1
            | T::UrlEncode => ByteSet::ALL,
        };
        Self { bytes, marks }
    }

    /// Those of a chain: while none of its transformations changes the value, the next sees the same bytes.
    #[must_use]
    pub fn of_chain(chain: &[Transformation]) -> Self {
        chain.iter().map(|next| Self::of(*next)).fold(Self { bytes: ByteSet::EMPTY, marks: 0 }, |all, next| Self {
            bytes: all.bytes.or(next.bytes),
            marks: all.marks | next.marks,
        })
    }

    /// Whether the chain leaves a value of this shape as it is. A chain with a transformation that makes something of
    /// nothing (a hash, the length) is never taken for one that does.
    #[must_use]
    pub fn spare(&self, shape: &Shape) -> bool {
        self.bytes != ByteSet::ALL && !self.bytes.meets(&shape.present) && self.marks & shape.marks == 0
    }
}

/// Whether a transformation makes of values of an alphabet none that has other bytes.
pub(crate) fn stays_within(transformation: Transformation, alphabet: &ByteSet) -> bool {
    use Transformation as T;
    let spare = |bytes: &[u8]| !ByteSet::from_bytes(bytes).meets(alphabet);
    if *alphabet == ByteSet::ALL {
        return true;
    }
    match transformation {
        T::Lowercase => UPPER.bytes().all(|byte| !alphabet.contains(byte) || alphabet.contains(byte | 0x20)),
        T::RemoveNulls | T::Trim | T::TrimLeft | T::TrimRight | T::RemoveWhitespace | T::NormalizePath => true,
        T::NormalizePathWin => spare(b"\\") || alphabet.contains(b'/'),
        T::CompressWhitespace => !SPACE.meets(alphabet) || alphabet.contains(b' '),
        T::CmdLine => stays_within(T::Lowercase, alphabet) && (spare(b" ,;\t\r\n") || alphabet.contains(b' ')),
        T::UrlDecode | T::UrlDecodeUni => spare(b"%") && (spare(b"+") || alphabet.contains(b' ')),
        T::HtmlEntityDecode => spare(b"&"),
        T::JsDecode | T::CssDecode | T::EscapeSeqDecode => spare(b"\\"),
        T::Utf8ToUnicode => !HIGH.with(0, 0).meets(alphabet),
        T::ReplaceComments => spare(b"*"),
        _ => false,
    }
}
