//! Readers of bodies: any body is read or refused, and what is read does not depend on how the body is cut into pieces.

use defender_waf::{
    Request,
    body::{Processor, fill_body},
    http::{Head, fill_head, read_head},
    inspection::{Body, Due, Limits, Profile},
    value::Collection,
};

const LIMITS: Limits = Limits { held: 4096, depth: 64 };

/// Forms.
pub fn form(data: &[u8]) {
    body(data, "application/x-www-form-urlencoded", Processor::UrlEncoded);
}

/// JSON.
pub fn json(data: &[u8]) {
    body(data, "application/json", Processor::Json);
}

/// XML.
pub fn xml(data: &[u8]) {
    body(data, "text/xml; charset=utf-16", Processor::Xml);
}

/// Multipart bodies.
pub fn multipart(data: &[u8]) {
    body(data, "multipart/form-data; boundary=b", Processor::Multipart);
}

fn body(mut data: &[u8], content_type: &str, processor: Processor) {
    let step = 1 + super::number(&mut data, 64);
    let coding = ["", "gzip", "deflate"][super::number(&mut data, 3)];
    let head = head_of(content_type, coding, data.len());
    let mut request = of_head(&head);
    fill_body(&mut request, data, Some(processor), LIMITS.depth, false);
    for profile in [Profile::Balanced, Profile::CrsStrict] {
        let whole = read(profile, &head, data, data.len().max(1));
        assert_eq!(whole, read(profile, &head, data, step), "{profile:?} in pieces of {step}");
    }
}

fn head_of(content_type: &str, coding: &str, length: usize) -> Head {
    let coding = if coding.is_empty() { String::new() } else { format!("Content-Encoding: {coding}\r\n") };
    let text = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\n{coding}Content-Length: {length}\r\n\r\n"
    );
    read_head(text.as_bytes()).unwrap().expect("a whole head").0
}

fn of_head(head: &Head) -> Request {
    let mut request = Request::new();
    fill_head(&mut request, head);
    request
}

/// What rules are shown, time after time, of a body that comes in pieces.
fn read(profile: Profile, head: &Head, data: &[u8], step: usize) -> Vec<String> {
    let mut body = Body::new(profile, head, LIMITS);
    let mut shown = Vec::new();
    for mut piece in data.chunks(step) {
        while !piece.is_empty() {
            let (taken, due) = body.feed(piece);
            piece = &piece[taken..];
            show(&mut body, due, head, &mut shown);
        }
    }
    for _ in 0..3 {
        let due = body.end();
        show(&mut body, due, head, &mut shown);
    }
    assert_eq!(body.due(), Due::Nothing, "something is left");
    shown
}

fn show(body: &mut Body, due: Due, head: &Head, shown: &mut Vec<String>) {
    if due == Due::Nothing {
        return;
    }
    let mut request = of_head(head);
    body.fill(&mut request, None, true);
    // Of a body that is coded wrongly, what is decoded before the fault is found depends on the decoder's buffers.
    if request.first(Collection::ReqbodyError, b"") == Some(b"1") && head.header("content-encoding").is_some() {
        return shown.push("fault".to_owned());
    }
    let values = [Collection::ArgsPost, Collection::RequestBody, Collection::ReqbodyError, Collection::Files];
    shown.push(format!("{:?}", values.map(|collection| format!("{:?}", request.of(collection).collect::<Vec<_>>()))));
}
