//! Frames of the relay: a big-endian u32 length, then that many bytes of JSON; at most 1 MiB.
use std::io;

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest frame, of the relay as of the channel.
pub const LARGEST: usize = defender_core::message::LARGEST_MESSAGE;

/// Reads one message; none when the other side has closed between two frames.
///
/// # Errors
/// `InvalidData` for a frame that is too large or does not fit the contract, else the system's answer. The length is checked
/// before anything is allocated for it.
pub async fn read<M: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<M>> {
    read_at_most(stream, LARGEST).await
}

/// Reads one message of at most `most` bytes; otherwise as [`read`].
///
/// # Errors
/// Those of [`read`].
pub async fn read_at_most<M: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    most: usize,
) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length[..1]).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    stream.read_exact(&mut length[1..]).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > most {
        return Err(invalid("the frame is too large"));
    }
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&body).map(Some).map_err(|_| invalid("the message does not fit the contract"))
}

/// Writes one message.
///
/// # Errors
/// `InvalidData` when it does not fit a frame, else the system's answer.
pub async fn write<M: Serialize>(stream: &mut (impl AsyncWrite + Unpin), message: &M) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > LARGEST {
        return Err(invalid("the message is larger than 1 MiB"));
    }
    frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
    stream.write_all(&frame).await?;
    stream.flush().await
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(mut bytes: &[u8]) -> io::Result<Option<serde_json::Value>> {
        read(&mut bytes).await
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let message = serde_json::json!({"type": "ack", "received": 7});
        let mut wire = Vec::new();
        write(&mut wire, &message).await.expect("written");
        assert_eq!(read_bytes(&wire).await.expect("read"), Some(message));
    }

    #[tokio::test]
    async fn a_frame_above_one_mebibyte_is_refused_by_its_length_alone() {
        let error = read_bytes(&[0, 0x10, 0, 1]).await.expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = write(&mut Vec::new(), &"x".repeat(LARGEST)).await.expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_frame_cut_short_is_an_error_and_a_clean_end_is_none() {
        let mut wire = Vec::new();
        write(&mut wire, &serde_json::json!({"a": [1, 2, 3]})).await.expect("written");
        for length in 1..wire.len() {
            assert!(read_bytes(&wire[..length]).await.is_err(), "{length}");
        }
        assert_eq!(read_bytes(&[]).await.expect("a clean end"), None);
    }
}
