//! Frames of WebSocket as clients send them, read strictly. Source: RFC 6455, section 5.2.

use thiserror::Error;

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The last frame of its message.
    pub last: bool,
    /// What it is.
    pub kind: Kind,
    /// Bytes of the payload.
    pub length: u64,
    /// Each byte of the payload is combined with one of it by exclusive or.
    pub mask: [u8; 4],
    /// Bytes of this head.
    pub size: usize,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// More of the message before it.
    Continuation,
    /// The beginning of a text.
    Text,
    /// The beginning of other data.
    Binary,
    /// The end of the connection.
    Close,
    /// A question whether anybody is there, or its answer.
    Control,
}

/// A frame that no client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadFrame {
    /// A bit that only extensions set, and none was agreed on.
    #[error("a frame has reserved bits set")]
    Reserved,
    /// An opcode without meaning.
    #[error("a frame has an unknown opcode")]
    Opcode,
    /// Clients have to mask.
    #[error("a frame is not masked")]
    Unmasked,
    /// A control frame in pieces, or longer than 125 bytes.
    #[error("a control frame is too long or in pieces")]
    Control,
    /// A length that is written with more bytes than it needs, or of more than 63 bits.
    #[error("a frame's length is not written as it should be")]
    Length,
}

/// Reads the head of a frame: nothing while it is not whole.
///
/// # Errors
/// [`BadFrame`]: the connection is to be closed with status 1002.
pub fn read(received: &[u8]) -> Result<Option<FrameHead>, BadFrame> {
    let [first, second, rest @ ..] = received else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(BadFrame::Reserved);
    }
    let (last, masked, short) = (first & 0x80 != 0, second & 0x80 != 0, second & 0x7f);
    let kind = match first & 0x0f {
        0 => Kind::Continuation,
        1 => Kind::Text,
        2 => Kind::Binary,
        8 => Kind::Close,
        9 | 10 => Kind::Control,
        _ => return Err(BadFrame::Opcode),
    };
    if !masked {
        return Err(BadFrame::Unmasked);
    }
    if matches!(kind, Kind::Close | Kind::Control) && (!last || short > 125) {
        return Err(BadFrame::Control);
    }
    let (extra, shortest) = match short {
        126 => (2, 126),
        127 => (8, 1 << 16),
        _ => (0, 0),
    };
    let Some((number, rest)) = rest.split_at_checked(extra) else { return Ok(None) };
    let Some(mask) = rest.first_chunk::<4>() else { return Ok(None) };
    let length = match extra {
        0 => u64::from(short),
        _ => number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    if length < shortest || length > i64::MAX as u64 {
        return Err(BadFrame::Length);
    }
    Ok(Some(FrameHead { last, kind, length, mask: *mask, size: 2 + extra + 4 }))
}

/// Appends a piece of a payload to `out` without its mask; `offset` is where in the payload it lies.
pub fn unmask(piece: &[u8], mask: [u8; 4], offset: u64, out: &mut Vec<u8>) {
    let start = (offset % 4) as usize;
    out.extend(piece.iter().enumerate().map(|(index, byte)| byte ^ mask[(start + index) % 4]));
}

/// A frame that closes, for a client.
#[must_use]
pub fn close(status: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(100)];
    let mut frame = vec![0x88, reason.len() as u8 + 2];
    frame.extend(status.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

/// The same for an application, which expects a mask; one of zeros changes nothing.
#[must_use]
pub fn close_masked(status: u16) -> Vec<u8> {
    let mut frame = vec![0x88, 0x82, 0, 0, 0, 0];
    frame.extend(status.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What RFC 6455 forbids is refused.
    #[test]
    fn bad_frames_are_refused() {
        for (frame, error) in [
            (&[0xc1, 0x80][..], BadFrame::Reserved),
            (&[0x83, 0x80], BadFrame::Opcode),
            (&[0x81, 0x05], BadFrame::Unmasked),
            (&[0x09, 0x80], BadFrame::Control),
            (&[0x88, 0xfe], BadFrame::Control),
            (&[0x81, 0xfe, 0, 5, 0, 0, 0, 0], BadFrame::Length),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], BadFrame::Length),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], BadFrame::Length),
        ] {
            assert_eq!(read(frame), Err(error), "{frame:?}");
        }
    }

    proptest! {
        /// What is masked comes back however it is cut, and a head says how long it is.
        #[test]
        fn payloads_come_back(payload in proptest::collection::vec(any::<u8>(), 0..300), mask: [u8; 4], cut in any::<usize>()) {
            let mut frame = vec![0x81];
            match payload.len() {
                short @ 0..=125 => frame.push(0x80 | short as u8),
                long => {
                    frame.push(0xfe);
                    frame.extend((long as u16).to_be_bytes());
                }
            }
            frame.extend(mask);
            let head = read(&frame).unwrap().unwrap();
            prop_assert_eq!((head.length, head.size), (payload.len() as u64, frame.len()));
            prop_assert_eq!(read(&frame[..frame.len() - 1]), Ok(None));
            let (mut masked, mut out) = (Vec::new(), Vec::new());
            unmask(&payload, mask, 0, &mut masked);
            let cut = cut % (masked.len() + 1);
            unmask(&masked[..cut], mask, 0, &mut out);
            unmask(&masked[cut..], mask, cut as u64, &mut out);
            prop_assert_eq!(out, payload);
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = read(&bytes);
        }
    }
}
