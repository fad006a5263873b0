//! The chunked bodies of applications: like those of clients ([`defender_waf::http::Chunked`]), but with trailers, which
//! carry the outcome of gRPC calls. Source: RFC 9112, section 7.1.

use defender_waf::http::is_token;

/// Bytes that a chunk's line may have, and that all trailers may have.
const MOST_LINE: usize = 8 << 10;

/// Takes the chunked body of a response apart as it comes.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    line: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    trailing: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// The body is not chunked as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk of the application's response is malformed")]
pub struct BadChunk;

impl Chunks {
    /// Appends the body's bytes in `input` to `body`; how many bytes were used.
    ///
    /// # Errors
    /// [`BadChunk`]; the connection is of no use any more.
    pub fn read(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, BadChunk> {
        let mut taken = 0;
        while taken < input.len() && self.state != State::Done {
            if let State::Data(left) = self.state {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - taken);
                body.extend_from_slice(&input[taken..taken + length]);
                let left = left - length as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                taken += length;
            } else {
                self.take(input[taken])?;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// True when the body is whole.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What came after the body.
    #[must_use]
    pub fn trailers(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.trailers
    }

    fn take(&mut self, byte: u8) -> Result<(), BadChunk> {
        let carriage = self.line.last() == Some(&b'\r');
        if (byte == b'\n') != carriage || byte == 0 || self.line.len() >= MOST_LINE {
            return Err(BadChunk);
        }
        self.line.push(byte);
        if byte != b'\n' {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = &line[..line.len() - 2];
        self.state = match self.state {
            State::Size => match size(line)? {
                0 => State::Trailer,
                size => State::Data(size),
            },
            State::DataEnd if line.is_empty() => State::Size,
            State::Trailer if line.is_empty() => State::Done,
            State::Trailer => {
                self.trailing += line.len();
                if self.trailing > MOST_LINE {
                    return Err(BadChunk);
                }
                self.trailers.push(trailer(line)?);
                State::Trailer
            }
            _ => return Err(BadChunk),
        };
        Ok(())
    }
}

/// The size of a chunk; extensions mean nothing between two neighbours and end here.
fn size(line: &[u8]) -> Result<u64, BadChunk> {
    let digits = line.iter().position(|byte| *byte == b';').map_or(line, |end| &line[..end]).trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BadChunk);
    }
    let text = std::str::from_utf8(digits).map_err(|_| BadChunk)?;
    u64::from_str_radix(text, 16).map_err(|_| BadChunk)
}

fn trailer(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BadChunk> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(BadChunk)?;
    let name = &line[..colon];
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(BadChunk);
    }
    Ok((name.to_vec(), line[colon + 1..].trim_ascii().to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Trailers are kept, extensions are not.
    #[test]
    fn trailers_are_kept() {
        let (mut chunks, mut body) = (Chunks::default(), Vec::new());
        let text = b"3;a=b\r\nabc\r\n0\r\ngrpc-status: 0\r\n\r\nHTTP";
        let taken = chunks.read(text, &mut body).unwrap();

        assert_eq!((&text[taken..], &body[..], chunks.is_done()), (&b"HTTP"[..], &b"abc"[..], true));
        assert_eq!(chunks.trailers(), [(b"grpc-status".to_vec(), b"0".to_vec())]);
    }

    /// What is no chunk is refused.
    #[test]
    fn bad_chunks_are_refused() {
        for text in ["3\nabc\r\n", "-3\r\nabc", "3\r\nabcd\r\n", "0\r\na b: c\r\n\r\n", "0\r\n: c\r\n\r\n", "\r\n"] {
            assert_eq!(Chunks::default().read(text.as_bytes(), &mut Vec::new()), Err(BadChunk), "{text:?}");
        }
    }

    proptest! {
        /// However a body is cut, it comes out the same.
        #[test]
        fn a_body_may_come_in_pieces(cut in 0..27usize) {
            let text = b"3\r\nabc\r\n1\r\nd\r\n0\r\nx: y\r\n\r\n";
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            let (first, second) = text.split_at(cut.min(text.len()));
            chunks.read(first, &mut body).unwrap();
            chunks.read(second, &mut body).unwrap();
            prop_assert_eq!((&body[..], chunks.is_done()), (&b"abcd"[..], true));
        }
    }
}
