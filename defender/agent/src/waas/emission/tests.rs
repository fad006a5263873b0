use defender_waf::http::read_head;
use proptest::prelude::*;

use super::*;

fn passage() -> Passage {
    let peer = "192.0.2.7".parse().unwrap();
    Passage { peer, secure: true, believed: true, upgrade: false, body: Sent::Nothing }
}

fn sent(text: &str, passage: Passage) -> String {
    let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
    String::from_utf8(request(&head, head.target(), None, &passage)).unwrap()
}

/// Fields of the connection end here, and so do those that it names, but for those that applications go by.
#[test]
fn fields_of_the_connection_stay() {
    let text = "GET /a HTTP/1.1\r\nHost: shop\r\nConnection: close, X-A, Cookie\r\nX-A: 1\r\nCookie: a=b\r\nTE: gzip\r\n\
                Keep-Alive: 5\r\nUpgrade: h2c\r\nX-B: 2\r\n\r\n";

    assert_eq!(
        sent(text, passage()),
        "GET /a HTTP/1.1\r\nHost: shop\r\nCookie: a=b\r\nX-B: 2\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    );
}

/// The peer follows whoever was there before it, where it is believed; otherwise it replaces them.
#[test]
fn the_peer_is_told() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX-Forwarded-Proto: ws\r\n\r\n";
    let with = |believed| sent(text, Passage { believed, ..passage() });

    assert!(with(true).contains("X-Forwarded-For: 10.0.0.1, 10.0.0.2, 192.0.2.7\r\n"));
    assert!(with(true).contains("X-Forwarded-Proto: ws\r\n"));
    assert!(with(false).contains("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"));
    assert!(!with(false).contains("10.0.0.1") && !with(false).contains("ws"));
}

/// An answer cannot be made two by what a header says.
#[test]
fn nothing_splits_an_answer() {
    let block = Answer { status: 403, headers: vec![("a".into(), "b\r\nc: d".into())], body: b"no".to_vec() };

    assert_eq!(answer(&block, true, false), b"HTTP/1.1 403 Forbidden\r\na: b  c: d\r\nContent-Length: 2\r\n\r\n");
}

proptest! {
    /// Whatever head is understood, what is sent for it is understood in the same way.
    #[test]
    fn what_is_sent_is_understood(
        target in "/[!-~&&[^#]]{0,20}",
        fields in proptest::collection::vec(("[A-Za-z-]{1,8}", "[ -~]{0,12}"), 0..6),
    ) {
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("X-{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let text = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n{lines}\r\n");
        let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
        let out = request(&head, head.target(), None, &Passage { body: Sent::Length(3), ..passage() });
        let (again, taken) = read_head(&out).unwrap().unwrap();

        prop_assert_eq!((again.method(), again.target(), again.framing()), (head.method(), head.target(), head.framing()));
        prop_assert_eq!(taken, out.len());
        for field in head.headers().filter(|field| !is(field.name, "content-length")) {
            prop_assert!(again.headers().any(|other| other == field));
        }
    }
}
