//! The chunked transfer coding. Source: RFC 9112, section 7.1.

/// Bytes that a chunk's line, or the trailers together, may have.
const MAX_LINE: usize = 4 << 10;

/// Takes a chunked body apart, piece by piece, as it comes. Strict: what two readers could read in two ways is refused.
#[derive(Debug, Clone, Default)]
pub struct Chunked {
    state: State,
    line: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// What one call of [`Chunked::read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the input were used.
    pub taken: usize,
    /// The body is whole; the rest of the input is the next request's.
    pub done: bool,
}

/// The body is not chunked as RFC 9112 says: a size that is no hexadecimal number or too large, a bare LF, trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk of the body is malformed")]
pub struct BadChunk;

impl Chunked {
    /// Appends the body's bytes in `input` to `body`.
    ///
    /// # Errors
    /// [`BadChunk`]; the request is to be refused and the connection closed.
    pub fn read(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Progress, BadChunk> {
        let mut taken = 0;
        while taken < input.len() && self.state != State::Done {
            taken += if let State::Data(left) = self.state {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - taken);
                body.extend_from_slice(&input[taken..taken + length]);
                let left = left - length as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                length
            } else {
                self.take(input[taken])?;
                1
            };
        }
        Ok(Progress { taken, done: self.state == State::Done })
    }

    /// Takes a byte of what is not data.
    fn take(&mut self, byte: u8) -> Result<(), BadChunk> {
        let carriage = self.line.last() == Some(&b'\r');
        // A CR goes with its LF, always.
        if (byte == b'\n') != carriage || self.line.len() >= MAX_LINE {
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
            // Trailers could say what the head must not: none are let through.
            State::Trailer if line.is_empty() => State::Done,
            _ => return Err(BadChunk),
        };
        Ok(())
    }
}

/// The size at the start of a chunk's line. Extensions are refused: nobody uses them but to be read differently.
fn size(line: &[u8]) -> Result<u64, BadChunk> {
    let digits = !line.is_empty() && line.len() < 16 && line.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(line).map_err(|_| BadChunk)?;
    if digits { u64::from_str_radix(text, 16).map_err(|_| BadChunk) } else { Err(BadChunk) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), BadChunk> {
        let (mut chunked, mut body, mut done) = (Chunked::default(), Vec::new(), false);
        for piece in pieces {
            done = chunked.read(piece, &mut body)?.done;
        }
        Ok((body, done))
    }

    #[test]
    fn bad_chunks_are_refused() {
        for text in [
            "3\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "3;a=b\r\nabc\r\n0\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "\r\n",
            "0\r\nContent-Length: 4\r\n\r\n",
            "fffffffffffffffff\r\n",
            "3\rabc",
        ] {
            assert_eq!(read(&[text.as_bytes()]), Err(BadChunk), "{text:?}");
        }
    }

    #[test]
    fn what_follows_belongs_to_the_next_request() {
        let mut body = Vec::new();
        let progress = Chunked::default().read(b"1\r\na\r\n0\r\n\r\nGET /", &mut body).unwrap();

        assert_eq!((progress, &body[..]), (Progress { taken: 11, done: true }, &b"a"[..]));
    }

    proptest! {
        /// A body comes out as it went in, however it was chunked and cut.
        #[test]
        fn chunks_come_back(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..6), cut in any::<usize>()) {
            let mut text = Vec::new();
            for chunk in &chunks {
                text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            let (first, second) = text.split_at(cut % text.len());
            prop_assert_eq!(read(&[first, second]), Ok((chunks.concat(), true)));
        }
    }
}
