//! Content codings: gzip and deflate undone piece by piece, with caps. Source: RFC 9110, section 8.4.1.

use std::io::Write;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Codings that may be laid over one another.
const MOST_CODINGS: usize = 2;
/// Bytes that go into a decoder at once: deflate makes at most 1,032 of each (RFC 1951), so memory stays bounded.
const SLICE: usize = 256;
/// Bytes that may come out whatever the ratio is.
const FREE: u64 = 1 << 20;
/// Bytes that may come out for one that went in, beyond the free ones. Text as repetitive as logs reaches 30.
const RATIO: u64 = 100;

/// Why a coding cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    /// A name that is not gzip, deflate or identity.
    #[error("the content coding `{0}` is not one that is undone here")]
    Unknown(String),
    /// More of them than anybody needs.
    #[error("there are more than two content codings")]
    TooMany,
    /// What came is not so coded, or ends too early.
    #[error("the body is not {0}, as its content coding says")]
    Malformed(&'static str),
    /// A bomb.
    #[error("the body inflates to more than {RATIO} times its size")]
    Ratio,
}

/// The codings of one body, undone in the order that is the reverse of how they were laid.
#[derive(Debug, Default)]
pub struct Decoding {
    stages: Vec<Stage>,
    taken: u64,
    given: u64,
}

#[derive(Debug)]
enum Stage {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// Deflate before its first two bytes: they tell whether it has its frame, which some senders leave out.
    Start(Vec<u8>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Raw(DeflateDecoder<Vec<u8>>),
}

impl Decoding {
    /// The decoding that the fields `Content-Encoding` ask for, in their order.
    ///
    /// # Errors
    /// [`CodingError::Unknown`] and [`CodingError::TooMany`].
    pub fn new<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Result<Self, CodingError> {
        let mut stages = Vec::new();
        for name in fields.flat_map(|field| field.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            match name.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" => stages.push(Stage::Gzip(MultiGzDecoder::new(Vec::new()))),
                b"deflate" => stages.push(Stage::Start(Vec::new())),
                other => {
                    let shown = other.iter().take(32).map(|byte| char::from(*byte)).filter(char::is_ascii_graphic);
                    return Err(CodingError::Unknown(shown.collect()));
                }
            }
        }
        stages.reverse();
        if stages.len() > MOST_CODINGS {
            return Err(CodingError::TooMany);
        }
        Ok(Self { stages, taken: 0, given: 0 })
    }

    /// True when there is nothing to undo.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.stages.is_empty()
    }

    /// Appends what `piece` says to `plain`.
    ///
    /// # Errors
    /// [`CodingError::Malformed`] and [`CodingError::Ratio`]; what was decoded before was appended.
    pub fn feed(&mut self, piece: &[u8], plain: &mut Vec<u8>) -> Result<(), CodingError> {
        if self.is_plain() {
            plain.extend_from_slice(piece);
            return Ok(());
        }
        for slice in piece.chunks(SLICE) {
            self.taken += slice.len() as u64;
            self.pass(0, slice, plain)?;
        }
        Ok(())
    }

    /// Appends what the decoders still hold.
    ///
    /// # Errors
    /// [`CodingError::Malformed`] when the body ends too early.
    pub fn end(&mut self, plain: &mut Vec<u8>) -> Result<(), CodingError> {
        for index in 0..self.stages.len() {
            let (outcome, rest) = self.stages[index].end();
            self.given += if index + 1 == self.stages.len() { rest.len() as u64 } else { 0 };
            self.pass(index + 1, &rest, plain)?;
            outcome?;
        }
        Ok(())
    }

    /// Gives bytes to the stage of this number, and what it makes of them to the next; beyond the last they are plain.
    fn pass(&mut self, index: usize, bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), CodingError> {
        if index == self.stages.len() {
            plain.extend_from_slice(bytes);
            return Ok(());
        }
        for slice in bytes.chunks(SLICE) {
            let outcome = self.stages[index].feed(slice);
            let made = self.stages[index].take();
            self.given += made.len() as u64;
            if self.given > FREE.saturating_add(self.taken.saturating_mul(RATIO)) {
                return Err(CodingError::Ratio);
            }
            self.pass(index + 1, &made, plain)?;
            outcome?;
        }
        Ok(())
    }
}

impl Stage {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), CodingError> {
        if let Self::Start(first) = self {
            first.extend_from_slice(bytes);
            if first.len() < 2 {
                return Ok(());
            }
            let all = std::mem::take(first);
            *self = if has_frame(&all) {
                Self::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                Self::Raw(DeflateDecoder::new(Vec::new()))
            };
            return self.feed(&all);
        }
        let outcome = match self {
            Self::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Zlib(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Raw(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Start(_) => Ok(()),
        };
        outcome.map_err(|_| self.malformed())
    }

    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Gzip(decoder) => std::mem::take(decoder.get_mut()),
            Self::Zlib(decoder) => std::mem::take(decoder.get_mut()),
            Self::Raw(decoder) => std::mem::take(decoder.get_mut()),
            Self::Start(_) => Vec::new(),
        }
    }

    fn end(&mut self) -> (Result<(), CodingError>, Vec<u8>) {
        let outcome = match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
            Self::Start(first) if first.is_empty() => Ok(()),
            Self::Start(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
        };
        (outcome.map_err(|_| self.malformed()), self.take())
    }

    fn malformed(&self) -> CodingError {
        CodingError::Malformed(if matches!(self, Self::Gzip(_)) { "gzip" } else { "deflate" })
    }
}

/// Whether deflate has its frame. Source: RFC 1950, section 2.2.
fn has_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn undone(names: &str, coded: &[u8], cut: usize) -> Result<Vec<u8>, CodingError> {
        let mut decoding = Decoding::new([names.as_bytes()].into_iter())?;
        let mut plain = Vec::new();
        for piece in coded.chunks(cut.max(1)) {
            decoding.feed(piece, &mut plain)?;
        }
        decoding.end(&mut plain)?;
        Ok(plain)
    }

    /// A small body that inflates without end is stopped after little, in one layer and in two.
    #[test]
    fn bombs_are_stopped() {
        let bomb = gzip(&vec![b'a'; 64 << 20]);

        assert_eq!(undone("gzip", &bomb, 4096), Err(CodingError::Ratio));
        assert_eq!(undone("gzip, gzip", &gzip(&bomb), 4096), Err(CodingError::Ratio));
        let mut plain = Vec::new();
        let _ = Decoding::new([&b"gzip"[..]].into_iter()).unwrap().feed(&bomb, &mut plain);
        assert!(plain.len() < 16 << 20, "{}", plain.len());
    }

    /// A coding that nobody knows, one too many, a lie and a torn end are each an error.
    #[test]
    fn what_cannot_be_undone_is_an_error() {
        assert_eq!(undone("br", b"", 1), Err(CodingError::Unknown("br".into())));
        assert_eq!(undone("gzip, gzip, gzip", b"", 1), Err(CodingError::TooMany));
        assert_eq!(undone("gzip", b"a=1&b=2 and no gzip", 64), Err(CodingError::Malformed("gzip")));
        assert_eq!(undone("gzip", &gzip(b"a=1")[..12], 64), Err(CodingError::Malformed("gzip")));
        assert_eq!(undone("deflate", b"a", 64), Err(CodingError::Malformed("deflate")));
    }

    proptest! {
        /// Whatever was coded in the ways that are known comes back, however it was cut.
        #[test]
        fn bodies_come_back(body in proptest::collection::vec(any::<u8>(), 0..2000), cut in 1_usize..300) {
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
            zlib.write_all(&body).unwrap();
            let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
            raw.write_all(&body).unwrap();
            prop_assert_eq!(undone("identity", &body, cut), Ok(body.clone()));
            prop_assert_eq!(undone("X-GZIP", &gzip(&body), cut), Ok(body.clone()));
            prop_assert_eq!(undone("deflate", &zlib.finish().unwrap(), cut), Ok(body.clone()));
            prop_assert_eq!(undone("deflate", &raw.finish().unwrap(), cut), Ok(body.clone()));
            prop_assert_eq!(undone("gzip, gzip", &gzip(&gzip(&body)), cut), Ok(body));
        }

        /// No bytes make a decoder panic.
        #[test]
        fn any_bytes_are_undone_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = undone("gzip", &bytes, 7);
            let _ = undone("deflate", &bytes, 7);
        }
    }
}
