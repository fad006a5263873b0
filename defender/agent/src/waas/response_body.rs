//! The body of a response as it comes.

use super::{halt::Halt, response::Framing, trailing::Chunks};

/// The rest of a response's body.
#[derive(Debug)]
pub enum ResponseBody {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Until the connection's end.
    Close,
    /// Nothing more.
    Done,
}

impl ResponseBody {
    /// Of a response with this framing.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::default()),
            Framing::Close => Self::Close,
        }
    }

    /// True when all of it came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.is_done(),
            Self::Close => false,
            Self::Done => true,
        }
    }

    /// What came after it.
    #[must_use]
    pub fn trailers(&self) -> &[(Vec<u8>, Vec<u8>)] {
        match self {
            Self::Chunked(chunks) => chunks.trailers(),
            _ => &[],
        }
    }

    /// Appends what of `received` is of the body to `out`; how many bytes were used.
    ///
    /// # Errors
    /// [`Halt::Broken`] for chunks that are none.
    pub fn read(&mut self, received: &[u8], out: &mut Vec<u8>) -> Result<usize, Halt> {
        match self {
            Self::Done => Ok(0),
            Self::Close => {
                out.extend_from_slice(received);
                Ok(received.len())
            }
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                out.extend_from_slice(&received[..taken]);
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks
                .read(received, out)
                .map_err(|_| Halt::Broken("a chunk of the application's response is malformed")),
        }
    }

    /// The connection ended: whether that is the body's end as well.
    ///
    /// # Errors
    /// [`Halt::Broken`] when there should have been more.
    pub fn end(&mut self) -> Result<(), Halt> {
        if matches!(self, Self::Close) {
            *self = Self::Done;
        }
        if self.is_done() {
            Ok(())
        } else {
            Err(Halt::Broken("the application closed the connection within a response"))
        }
    }
}
