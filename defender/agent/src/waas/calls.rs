//! Messages of a call of gRPC as clients send them, each held until it was judged. Source: "gRPC over HTTP2", Length-Prefixed-Message.

/// Bytes of a message that are held; a longer one is judged in windows of so many.
const MOST: usize = 64 << 10;
/// Bytes of a window that are judged again with the next, so that nothing hides in the cut.
const OVERLAP: usize = 512;
/// Whether it is compressed, and the message's length.
const PREFIX: usize = 5;

/// What of a call's messages has come and was not passed on.
#[derive(Debug, Default)]
pub struct Messages {
    held: Vec<u8>,
    /// Bytes that are still to come of a message that is too long to be held, and the end of its last window.
    left: usize,
    tail: Vec<u8>,
}

impl Messages {
    /// Takes what came and gives what may be passed on. `judge` is asked about each message once it is whole: whether it is
    /// compressed, and its bytes.
    ///
    /// # Errors
    /// What `judge` says of a message, which is not passed on then.
    pub fn take<E>(
        &mut self,
        piece: &[u8],
        judge: &mut impl FnMut(bool, &[u8]) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        self.held.extend_from_slice(piece);
        let mut judged = Vec::new();
        loop {
            let ready = if self.left > 0 { self.window(judge)? } else { self.message(judge)? };
            if ready == 0 {
                return Ok(judged);
            }
            judged.extend(self.held.drain(..ready));
        }
    }

    /// Judges what is left of a call that ended within a message, and gives it.
    ///
    /// # Errors
    /// As [`Messages::take`].
    pub fn end<E>(&mut self, judge: &mut impl FnMut(bool, &[u8]) -> Result<(), E>) -> Result<Vec<u8>, E> {
        if !self.held.is_empty() {
            judge(false, &[&self.tail[..], &self.held].concat())?;
        }
        Ok(std::mem::take(&mut self.held))
    }

    /// How many bytes at the beginning make a message that was judged; 0 when more has to come.
    fn message<E>(&mut self, judge: &mut impl FnMut(bool, &[u8]) -> Result<(), E>) -> Result<usize, E> {
        let Some((prefix, rest)) = self.held.split_first_chunk::<PREFIX>() else { return Ok(0) };
        let [flags, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST {
            self.left = length;
            return Ok(PREFIX);
        }
        match rest.get(..length) {
            Some(message) => judge(flags & 1 == 1, message).map(|()| PREFIX + length),
            None => Ok(0),
        }
    }

    /// The same for a window of a long message.
    fn window<E>(&mut self, judge: &mut impl FnMut(bool, &[u8]) -> Result<(), E>) -> Result<usize, E> {
        let size = self.left.min(MOST);
        let Some(window) = self.held.get(..size) else { return Ok(0) };
        let seen = [&self.tail[..], window].concat();
        judge(false, &seen)?;
        self.left -= size;
        self.tail = if self.left > 0 { seen[seen.len() - OVERLAP..].to_vec() } else { Vec::new() };
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    /// A message waits until it is whole, and what stands before it does not.
    #[test]
    fn messages_are_held_until_they_are_judged() {
        let mut messages = Messages::default();
        let mut seen = Vec::new();
        let mut judge = |compressed: bool, message: &[u8]| {
            seen.push((compressed, message.to_vec()));
            Ok::<(), ()>(())
        };
        let both = [framed(b"one"), framed(b"two")].concat();

        assert_eq!(messages.take(&both[..10], &mut judge), Ok(both[..8].to_vec()));
        assert_eq!(messages.take(&both[10..15], &mut judge), Ok(Vec::new()));
        assert_eq!(messages.take(&both[15..], &mut judge), Ok(both[8..].to_vec()));
        assert_eq!(messages.end(&mut judge), Ok(Vec::new()));
        assert_eq!(seen, [(false, b"one".to_vec()), (false, b"two".to_vec())]);
    }

    /// A message that is refused is not passed on, and neither is what follows.
    #[test]
    fn a_refused_message_stays() {
        let mut judge = |_: bool, message: &[u8]| if message == b"bad" { Err("bad") } else { Ok(()) };

        assert_eq!(Messages::default().take(&[framed(b"bad"), framed(b"x")].concat(), &mut judge), Err("bad"));
    }

    /// Of a long message every stretch that is as long as the overlap is seen in one piece.
    #[test]
    fn long_messages_are_judged_in_windows() {
        let mut message = vec![b'x'; 3 * MOST];
        message[2 * MOST - 3..2 * MOST + 3].copy_from_slice(b"attack");
        let mut judge =
            |_: bool, seen: &[u8]| if seen.windows(6).any(|part| part == b"attack") { Err(()) } else { Ok(()) };

        assert_eq!(Messages::default().take(&framed(&message), &mut judge), Err(()));
    }

    proptest! {
        /// However a call is cut, all of it is passed on in its order.
        #[test]
        fn cuts_change_nothing(
            sizes in proptest::collection::vec(prop_oneof![0_usize..100, MOST - 2..MOST + 2, Just(3 * MOST + 7)], 0..4),
            cut in 1_usize..200_000,
        ) {
            let call: Vec<u8> = sizes.iter().flat_map(|size| framed(&vec![b'a'; *size])).chain(*b"end").collect();
            let mut messages = Messages::default();
            let mut judge = |_: bool, seen: &[u8]| if seen.len() > MOST + OVERLAP { Err(()) } else { Ok(()) };
            let mut passed = Vec::new();
            for piece in call.chunks(cut) {
                passed.extend(messages.take(piece, &mut judge).unwrap());
            }
            passed.extend(messages.end(&mut judge).unwrap());
            prop_assert_eq!(passed, call);
        }
    }
}
