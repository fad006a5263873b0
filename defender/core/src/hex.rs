//! Identifiers in lower-case hexadecimal of a fixed length.
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `N` lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>(String);

/// One Defender process, made at random at its start; the source of its audits.
pub type Instance = Hex<32>;
/// SHA-256 of a policy's bytes as the Console encoded them.
pub type PolicyHash = Hex<64>;
/// What proves to the sidecar which container speaks.
pub type ContainerToken = Hex<32>;

/// A text that is no identifier.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not {0} lower-case hexadecimal digits")]
pub struct HexError(usize);

impl<const N: usize> Hex<N> {
    /// Writes the first `N / 2` bytes; missing ones count as zero.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digit = |at: usize| {
            let byte = bytes.get(at / 2).copied().unwrap_or_default();
            let half = if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
            char::from_digit(half.into(), 16).unwrap_or('0')
        };
        Self((0..N).map(digit).collect())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> TryFrom<String> for Hex<N> {
    type Error = HexError;

    fn try_from(text: String) -> Result<Self, HexError> {
        let fits = text.len() == N && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text)) } else { Err(HexError(N)) }
    }
}

impl<const N: usize> From<Hex<N>> for String {
    fn from(hex: Hex<N>) -> Self {
        hex.0
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
