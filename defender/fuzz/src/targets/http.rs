//! Readers of HTTP.

use defender_waf::http::{Chunked, read_head, read_response_head};

/// A head that is read is read alike whatever follows it, and of no part of it is a whole head read.
pub fn head(data: &[u8]) {
    let Ok(Some((head, taken))) = read_head(data) else { return };
    let (again, _) = read_head(&data[..taken]).unwrap().expect("the head is whole");
    assert_eq!(head.line(), again.line());
    assert!(
        head.headers()
            .map(|field| (field.name, field.value))
            .eq(again.headers().map(|field| (field.name, field.value)))
    );
    assert_eq!(head.framing(), again.framing());
    assert!(read_head(&data[..taken - 1]).is_ok_and(|found| found.is_none()), "a part of a head is no head");
}

/// The same for heads of responses.
pub fn response_head(data: &[u8]) {
    let Ok(Some((head, taken))) = read_response_head(data, b"GET") else { return };
    let (again, _) = read_response_head(&data[..taken], b"GET").unwrap().expect("the head is whole");
    assert_eq!(head.status(), again.status());
    assert!(head.headers().eq(again.headers()));
    assert_eq!(head.body_end(), again.body_end());
}

/// A chunked body is the same, or refused, however it is cut into pieces.
pub fn chunked(mut data: &[u8]) {
    let step = 1 + super::number(&mut data, 16);
    let mut whole = Vec::new();
    let at_once = Chunked::default().read(data, &mut whole);
    let mut reader = Chunked::default();
    let (mut body, mut taken) = (Vec::new(), 0);
    for piece in data.chunks(step) {
        match reader.read(piece, &mut body) {
            Ok(progress) => taken += progress.taken,
            Err(_) => return assert!(at_once.is_err(), "refused in pieces only"),
        }
    }
    let at_once = at_once.expect("refused at once only");
    assert_eq!((taken, body), (at_once.taken, whole));
}
