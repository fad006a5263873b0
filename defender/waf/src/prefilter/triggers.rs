//! Which transformations leave a value as it is, told by its bytes.

use crate::transformation::Transformation;

use super::sets::ByteSet;

/// The bytes without which a chain of transformations changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransformationTriggers(ByteSet);

const SPACE: ByteSet = ByteSet::from_bytes(b" \t\n\x0B\x0C\r");
const UPPER: ByteSet = ByteSet::EMPTY.with(b'A', b'Z');
const HIGH: ByteSet = ByteSet::EMPTY.with(0x80, 0xFF);

impl TransformationTriggers {
    /// Those of one transformation. One that changes values of any bytes has them all; the empty value has none of them.
    #[must_use]
    pub const fn of(transformation: Transformation) -> Self {
        use Transformation as T;
        Self(match transformation {
            T::Lowercase => UPPER,
            T::Uppercase => ByteSet::EMPTY.with(b'a', b'z'),
            T::RemoveNulls | T::ReplaceNulls => ByteSet::from_bytes(b"\0"),
            // A single blank between words stays as it is, other blanks become one.
            T::CompressWhitespace | T::Trim | T::TrimLeft | T::TrimRight => SPACE,
            T::RemoveWhitespace => SPACE.with(0xA0, 0xA0),
            T::UrlDecode | T::UrlDecodeUni => ByteSet::from_bytes(b"%+"),
            T::HtmlEntityDecode => ByteSet::from_bytes(b"&"),
            T::JsDecode | T::CssDecode | T::EscapeSeqDecode => ByteSet::from_bytes(b"\\"),
            T::Utf8ToUnicode => HIGH.with(0, 0),
            T::ReplaceComments => ByteSet::from_bytes(b"*"),
            T::RemoveComments | T::RemoveCommentsChar => ByteSet::from_bytes(b"*-#"),
            T::NormalizePath => ByteSet::from_bytes(b"/."),
            T::NormalizePathWin => ByteSet::from_bytes(b"/.\\"),
            T::CmdLine => ByteSet::from_bytes(b"\"'\\^ ,;\t\r\n").or(UPPER),
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
        })
    }

    /// Those of a chain: while none of its transformations changes the value, the next sees the same bytes.
    #[must_use]
    pub fn of_chain(chain: &[Transformation]) -> Self {
        Self(chain.iter().fold(ByteSet::EMPTY, |all, next| all.or(Self::of(*next).0)))
    }

    /// Whether the chain leaves a value of these bytes as it is. A chain with a transformation that makes something of
    /// nothing (a hash, the length) is never taken for one that does.
    #[must_use]
    pub fn spare(&self, present: &ByteSet) -> bool {
        self.0 != ByteSet::ALL && !self.0.meets(present)
    }
}
