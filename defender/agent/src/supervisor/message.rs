//! `struct msghdr` and what it points to, in the memory of a 64-bit or of a 32-bit program (`recvmsg(2)`, `cmsg(3)`).
use defender_sys::{
    Errno, Result, memory,
    socket::{self, Message},
};

use super::connect::read_address;

pub const LARGEST_DATAGRAM: u64 = 65535;
const LARGEST_CONTROL: u64 = 4096;
/// `UIO_MAXIOV`: the kernel takes no more parts, or messages, in one call.
pub const MOST_PARTS: u64 = 1024;
/// sendmsg(2) takes longer names for as long as this.
pub const LONGEST_NAME: u32 = socket::LARGEST_ADDRESS as u32;
/// Level and type of a control message follow its length.
const LEVEL_AND_TYPE: usize = 8;

/// How a program lays its structures out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a word: of a pointer, a length, and what they are aligned to.
    word: usize,
}

impl Layout {
    /// That of a 32-bit program when `narrow`.
    #[must_use]
    pub fn of(narrow: bool) -> Self {
        Self { word: if narrow { 4 } else { 8 } }
    }

    /// Bytes of a `struct msghdr`: seven words, of which the name's length and the flags are padded to one.
    #[must_use]
    pub fn header(self) -> u64 {
        7 * self.word as u64
    }

    /// Bytes of a `struct mmsghdr`: what was sent follows, padded to a word.
    #[must_use]
    pub fn header_of_many(self) -> u64 {
        8 * self.word as u64
    }

    fn words(self, bytes: &[u8]) -> impl Iterator<Item = u64> {
        bytes.chunks_exact(self.word).map(|word| {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            u64::from_le_bytes(whole)
        })
    }

    /// Where the name of a message lies, and how long it is.
    ///
    /// # Errors
    /// `EFAULT` when the header is not there.
    pub fn name(self, thread: u32, at: u64) -> Result<(u64, u32)> {
        let mut start = vec![0; 2 * self.word];
        memory::read(thread, at, &mut start)?;
        let mut words = self.words(&start);
        Ok((words.next().unwrap_or_default(), words.next().unwrap_or_default() as u32))
    }

    /// Copies a whole message with everything that it points to.
    ///
    /// # Errors
    /// `EFAULT` when something is not there, `EMSGSIZE` when something is too long, `EINVAL` for broken control messages.
    pub fn message(self, thread: u32, at: u64) -> Result<Message> {
        let mut header = vec![0; self.header() as usize];
        memory::read(thread, at, &mut header)?;
        let words: Vec<u64> = self.words(&header).collect();
        let word = |index: usize| words.get(index).copied().unwrap_or_default();
        let (name, name_length) = (word(0), word(1) as u32);
        let address = if name == 0 { None } else { Some(read_address(thread, name, name_length.min(LONGEST_NAME))?) };
        let payload = self.parts(thread, word(2), word(3))?;
        let control = read_bytes(thread, word(4), word(5), LARGEST_CONTROL)?;
        Ok(Message { address, payload, control: self.control(control)? })
    }

    fn parts(self, thread: u32, at: u64, count: u64) -> Result<Vec<u8>> {
        if count > MOST_PARTS {
            return Err(Errno::EMSGSIZE);
        }
        let size = 2 * self.word;
        let mut payload = Vec::new();
        let vector = read_bytes(thread, at, count * size as u64, MOST_PARTS * size as u64)?;
        for part in vector.chunks_exact(size) {
            let mut words = self.words(part);
            let (base, length) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let rest = LARGEST_DATAGRAM - payload.len() as u64;
            payload.extend(read_bytes(thread, base, length, rest)?);
        }
        Ok(payload)
    }

    /// Control messages as a 64-bit program lays them out.
    fn control(self, given: Vec<u8>) -> Result<Vec<u8>> {
        if self.word == 8 {
            return Ok(given);
        }
        let (mut rest, mut control) = (given.as_slice(), Vec::new());
        while let Some(length) = rest.first_chunk().map(|word| u32::from_ne_bytes(*word) as usize) {
            let message = rest.get(self.word..length).filter(|message| message.len() >= LEVEL_AND_TYPE);
            let message = message.ok_or(Errno::EINVAL)?;
            control.extend((8 + message.len() as u64).to_ne_bytes());
            control.extend(message);
            control.resize(control.len().next_multiple_of(8), 0);
            rest = rest.get(length.next_multiple_of(self.word)..).unwrap_or_default();
        }
        Ok(control)
    }
}

/// Copies `length` bytes.
///
/// # Errors
/// `EMSGSIZE` when that is more than `most`, `EFAULT` when they are not there.
pub fn read_bytes(thread: u32, at: u64, length: u64, most: u64) -> Result<Vec<u8>> {
    if length > most {
        return Err(Errno::EMSGSIZE);
    }
    let mut bytes = vec![0; length as usize];
    memory::read(thread, at, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn narrow_message(data: &[u8]) -> Vec<u8> {
        let mut bytes = [12 + data.len() as u32, 0, 8].map(u32::to_ne_bytes).concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Control messages of a 32-bit program come out as the kernel's own macros would lay them out.
    #[test]
    fn control_messages_are_laid_out_anew() {
        let given = [narrow_message(&[1, 2, 3, 4]), narrow_message(&[5])].concat();
        let expected: Vec<u8> = [
            &20_u64.to_ne_bytes()[..],
            &0_u32.to_ne_bytes(),
            &8_u32.to_ne_bytes(),
            &[1, 2, 3, 4, 0, 0, 0, 0],
            &17_u64.to_ne_bytes(),
            &0_u32.to_ne_bytes(),
            &8_u32.to_ne_bytes(),
            &[5, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();

        assert_eq!(Ok(expected), Layout::of(true).control(given.clone()));
        assert_eq!(Ok(given.clone()), Layout::of(false).control(given));
    }

    proptest! {
        /// Any control bytes are laid out in bounded room, or refused.
        #[test]
        fn control_is_total(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(control) = Layout::of(true).control(bytes.clone()) {
                prop_assert!(control.len() <= 2 * bytes.len() + 8);
            }
        }
    }
}
