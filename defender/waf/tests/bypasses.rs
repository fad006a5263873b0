//! Ways around firewalls that are known to have worked on others: each is one test, through a whole exchange, that a plain attack
//! and the same attack in disguise are both refused, and that the same request without the attack is not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{io::Write, net::IpAddr, sync::Arc};

use defender_waf::{
    Ruleset,
    firewall::{Client, Firewall, Policy, Ruling, Standing},
    http::{Chunked, Framing, Refusal, read_head},
    inspection::Profile,
    seclang::{Source, load},
};
use flate2::{Compression, write::GzEncoder};

/// What is looked for. The rules decode nothing but what the Core Rule Set's own decode.
const ATTACK: &str = "<script>alert(1)</script>";
const RULES: &str = r#"
SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|XML:/*|XML://@* "@rx (?i)<script>alert\(1\)" \
  "id:941001,phase:2,deny,status:403,t:none,t:urlDecodeUni,severity:'CRITICAL',tag:'attack-xss',tag:'paranoia-level/1',msg:'script'"
SecRule REQBODY_ERROR "@eq 1" "id:920001,phase:2,deny,status:400,t:none,severity:'CRITICAL',tag:'attack-protocol',\
  tag:'paranoia-level/1',msg:'body'"
"#;
const POLICY: &str = r#"{"version":1,"revision":1,"rule":"shop","profile":"balanced","applications":[{"appID":"shop",
  "apiSpec":{"endpoints":[{"host":"*","basePath":"*","exposedPort":80,"internalPort":8080}]},
  "xss":{"effect":"prevent"},"malformedReq":{"effect":"prevent"},"protocol":{"effect":"prevent"}}]}"#;
/// Bytes that are held back.
const HELD: usize = 128 << 10;

/// Whether a request is refused, its body coming in pieces of this size.
fn is_refused_in(pieces: usize, fields: &str, body: &[u8]) -> bool {
    let rules = Source { name: "bypasses.conf", text: RULES.as_bytes() };
    let mut ruleset: Ruleset = load(&[Profile::Balanced.rules().remove(0), rules], &[]).unwrap();
    ruleset.settings.body_limit = HELD;
    let firewall = Firewall::new(Policy::parse(POLICY.as_bytes()).unwrap(), Arc::new(ruleset)).unwrap();
    let text = format!("POST /a HTTP/1.1\r\nHost: shop.test\r\n{fields}\r\nContent-Length: {}\r\n\r\n", body.len());
    let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
    let client = Client { peer: IpAddr::from([192, 0, 2, 7]), port: 80, secure: false };
    let standing = Standing::default();
    let mut exchange = firewall.open(&head, client, &standing, 0, "1");
    let mut ruling = exchange.request_head();
    for piece in body.chunks(pieces) {
        if ruling == Ruling::Pass {
            ruling = exchange.request_body(piece);
        }
    }
    if ruling == Ruling::Pass {
        ruling = exchange.request_end();
    }
    ruling != Ruling::Pass
}

fn is_refused(fields: &str, body: &[u8]) -> bool {
    is_refused_in(16 << 10, fields, body)
}

/// Asserts that a body is refused with the attack, and passes with something harmless in its place.
fn refuses(fields: &str, body: impl Fn(&str) -> Vec<u8>) {
    assert!(is_refused(fields, &body(ATTACK)), "the attack passes: {fields}");
    assert!(!is_refused(fields, &body("a good day")), "the harmless one does not pass: {fields}");
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=b";

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn base64(text: &str) -> Vec<u8> {
    defender_waf::transformation::Transformation::Base64Encode.apply(text.as_bytes()).into_owned()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Padding moves an attack beyond what others look at: 8 KB, 128 KB, 2 MB; in each kind of body, and cut in unlucky places.
#[test]
fn padding_hides_nothing() {
    for size in [8 << 10, 128 << 10, 2 << 20] {
        let pad = "x".repeat(size);
        refuses(FORM, |attack| format!("a={pad}&b={attack}").into_bytes());
        refuses("Content-Type: application/json", |attack| {
            format!("{{\"a\":\"{pad}\",\"b\":\"{attack}\"}}").into_bytes()
        });
        refuses("Content-Type: application/xml", |attack| {
            let shown = attack.replace('<', "&lt;").replace('>', "&gt;");
            format!("<a><b>{pad}</b><c><![CDATA[{attack}]]></c><d>{shown}</d></a>").into_bytes()
        });
        refuses(MULTIPART, |attack| {
            [part("name=a", pad.as_bytes()), part("name=c", attack.as_bytes()), b"--b--\r\n".to_vec()].concat()
        });
        refuses("Content-Type: text/plain", |attack| format!("{pad} {attack}").into_bytes());
        assert!(is_refused_in(1000, FORM, format!("a={pad}&b={ATTACK}").as_bytes()));
    }
}

/// A file before the attack's field is padding of another kind.
#[test]
fn a_file_before_a_field_hides_nothing() {
    let file = part("name=f; filename=x.bin", &vec![0x80; 300 << 10]);
    refuses(MULTIPART, |attack| [file.clone(), part("name=a", attack.as_bytes()), b"--b--\r\n".to_vec()].concat());
}

/// CVE-2026-21876: a charset in the first part, and a harmless last one.
#[test]
fn a_charset_in_the_first_of_many_parts_is_read() {
    refuses(MULTIPART, |attack| {
        let coded: String = attack.replace('<', "+ADw-").replace('>', "+AD4-");
        let first = part("name=a\r\nContent-Type: text/plain; charset=utf-7", coded.as_bytes());
        let last = part("name=c\r\nContent-Type: text/plain; charset=utf-8", b"1");
        [first, last, b"--b--\r\n".to_vec()].concat()
    });
}

/// UTF-16 in a part, in a whole document, and in one without any word of it but its byte order mark.
#[test]
fn utf_16_is_read() {
    refuses(MULTIPART, |attack| {
        [part("name=a\r\nContent-Type: text/plain; charset=utf-16le", &wide(attack)), b"--b--\r\n".to_vec()].concat()
    });
    refuses("Content-Type: application/json; charset=utf-16", |attack| {
        wide(&format!("\u{feff}{{\"a\":\"{attack}\"}}"))
    });
    refuses("Content-Type: application/json", |attack| wide(&format!("{{\"a\":\"{attack}\"}}")));
    refuses("Content-Type: text/plain", |attack| wide(&format!("\u{feff}{attack}")));
}

/// UTF-7 and EBCDIC of a form, as some application servers read them.
#[test]
fn odd_charsets_of_a_form_are_read() {
    refuses(&format!("{FORM}; charset=utf-7"), |attack| {
        format!("a={}", attack.replace('<', "%2BADw-").replace('>', "%2BAD4-")).into_bytes()
    });
    let ebcdic = |text: &str| -> String {
        let byte = |one: char| match one {
            '<' => 0x4c,
            '>' => 0x6e,
            '(' => 0x4d,
            ')' => 0x5d,
            '/' => 0x61,
            ' ' => 0x40,
            '1' => 0xf1,
            'a'..='i' => one as u8 - b'a' + 0x81,
            'j'..='r' => one as u8 - b'j' + 0x91,
            _ => one as u8 - b's' + 0xa2,
        };
        text.chars().fold(String::new(), |coded, one| coded + &format!("%{:02x}", byte(one)))
    };
    refuses(&format!("{FORM}; charset=ibm037"), |attack| format!("a={}", ebcdic(attack)).into_bytes());
}

/// CVE-2022-48279 and its like: a boundary named twice is read in two ways, so not at all.
#[test]
fn two_boundaries_are_refused() {
    let body = [part("name=a", b"1"), b"--b--\r\n".to_vec()].concat();

    assert!(!is_refused(MULTIPART, &body));
    assert!(is_refused("Content-Type: multipart/form-data; boundary=b; boundary=c", &body));
    assert!(is_refused("Content-Type: multipart/form-data; boundary=c; boundary=b", &body));
}

/// A part's transfer coding is undone, as old readers do.
#[test]
fn a_parts_transfer_coding_is_undone() {
    refuses(MULTIPART, |attack| {
        [part("name=a\r\nContent-Transfer-Encoding: base64", &base64(attack)), b"--b--\r\n".to_vec()].concat()
    });
    refuses(MULTIPART, |attack| {
        let quoted = attack.replace('<', "=3C=\r\n");
        [part("name=a\r\nContent-Transfer-Encoding: quoted-printable", quoted.as_bytes()), b"--b--\r\n".to_vec()]
            .concat()
    });
}

/// Escapes of JSON are undone whatever the body is said to be.
#[test]
fn json_is_read_under_any_type() {
    let escaped = |attack: &str| format!("{{\"a\":[{{\"b\":\"{}\"}}]}}", attack.replace('<', "\\u003c")).into_bytes();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "image/png",
        "application/csp-report",
    ] {
        refuses(&format!("Content-Type: {kind}"), escaped);
    }
    refuses("X: no type", escaped);
}

/// XML without a type, and as a form.
#[test]
fn xml_is_read_under_any_type() {
    let document =
        |attack: &str| format!("<?xml version='1.0'?><a b=\"{}\"/>", attack.replace('<', "&lt;")).into_bytes();
    refuses("X: no type", document);
    refuses("Content-Type: text/plain", document);
}

/// A form is read where a form is not said to be.
#[test]
fn a_form_is_read_under_any_type() {
    let form = |attack: &str| format!("a={}", attack.replace('<', "%3c").replace(' ', "%20")).into_bytes();
    refuses("Content-Type: text/plain", form);
    refuses("Content-Type: application/json", form);
}

/// Documents within a part are read: JSON with escapes, XML with references.
#[test]
fn documents_within_parts_are_read() {
    refuses(MULTIPART, |attack| {
        let json = format!("{{\"a\":\"{}\"}}", attack.replace('<', "\\u003c"));
        [part("name=a; filename=blob\r\nContent-Type: application/json", json.as_bytes()), b"--b--\r\n".to_vec()]
            .concat()
    });
    refuses(MULTIPART, |attack| {
        let xml = format!("<a><![CDATA[{attack}]]></a>");
        [part("name=a; filename=x.xml\r\nContent-Type: text/xml", xml.as_bytes()), b"--b--\r\n".to_vec()].concat()
    });
}

/// What lies two layers deep is found: JSON within base64 within a form.
#[test]
fn two_layers_are_taken_off() {
    refuses(FORM, |attack| {
        let json = format!("{{\"a\":\"{}\"}}", attack.replace('<', "\\u003c"));
        let coded = String::from_utf8(base64(&json)).unwrap();
        format!("a={}", coded.replace('=', "%3d").replace('+', "%2b")).into_bytes()
    });
}

/// A name that occurs twice is judged twice: applications disagree about which one counts.
#[test]
fn duplicate_names_are_all_judged() {
    refuses("Content-Type: application/json", |attack| format!("{{\"a\":\"1\",\"a\":\"{attack}\"}}").into_bytes());
    refuses("Content-Type: application/json", |attack| format!("{{\"a\":\"{attack}\",\"a\":\"1\"}}").into_bytes());
    refuses(FORM, |attack| format!("a={attack}&a=1").into_bytes());
}

/// A byte order mark before a document does not make it another.
#[test]
fn a_byte_order_mark_hides_nothing() {
    refuses("Content-Type: application/json", |attack| {
        format!("\u{feff}{{\"a\":\"{}\"}}", attack.replace('<', "\\u003c")).into_bytes()
    });
}

/// `%u`, overlong UTF-8, full-width letters, characters without width, double and triple encoding.
#[test]
fn encodings_of_a_character_are_undone() {
    for written in ["%u003c", "%c0%bc", "%e0%80%bc", "%ef%bc%9c", "%253c", "%25253c", "\\u003c", "%3c%e2%80%8b"] {
        refuses(FORM, |attack| format!("a={}", attack.replace('<', written)).into_bytes());
    }
}

/// A coded body is inflated, one that lies about its coding is refused, and so is a bomb.
#[test]
fn coded_bodies_are_inflated() {
    refuses(&format!("{FORM}\r\nContent-Encoding: gzip"), |attack| gzip(format!("a={attack}").as_bytes()));
    refuses(&format!("{FORM}\r\nContent-Encoding: gzip, gzip"), |attack| gzip(&gzip(format!("a={attack}").as_bytes())));
    refuses(&format!("{FORM}\r\nContent-Encoding: gzip"), |attack| {
        gzip(format!("a={}&b={attack}", "x".repeat(2 << 20).replace("xxxxxxx", "abcdefg")).as_bytes())
    });
    assert!(is_refused(&format!("{FORM}\r\nContent-Encoding: gzip"), b"a=1"));
    assert!(is_refused(&format!("{FORM}\r\nContent-Encoding: br"), b"a=1"));
    assert!(is_refused(&format!("{FORM}\r\nContent-Encoding: gzip"), &gzip(&vec![b'a'; 64 << 20])));
}

/// How two readers could end a request at two places: all of them refused (CL.TE, TE.CL, TE.TE, and lengths that differ).
#[test]
fn requests_with_two_ends_are_refused() {
    let refusal =
        |fields: &str| read_head(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").as_bytes()).unwrap_err();

    assert_eq!(refusal("Content-Length: 4\r\nTransfer-Encoding: chunked"), Refusal::TwoLengths);
    assert_eq!(refusal("Transfer-Encoding: chunked\r\nContent-Length: 4"), Refusal::TwoLengths);
    assert_eq!(refusal("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"), Refusal::TransferEncoding);
    assert_eq!(refusal("Transfer-Encoding: chunked, identity"), Refusal::TransferEncoding);
    assert_eq!(refusal("Transfer-Encoding: \x0bchunked"), Refusal::TransferEncoding);
    assert_eq!(refusal("Transfer-Encoding\t: chunked"), Refusal::FieldName);
    assert_eq!(refusal("X: y\nTransfer-Encoding: chunked"), Refusal::BareLineEnd);
    assert_eq!(refusal("Content-Length: 4\r\nContent-Length: 5"), Refusal::ContentLength);
    assert_eq!(refusal("Content-Length: 4\r\n\tTransfer-Encoding: chunked"), Refusal::Folded);
    assert_eq!(refusal("Host: b"), Refusal::TwoHosts);
}

/// An absolute target and a field that name different hosts are two requests in one (RFC 9112, section 3.2.2).
#[test]
fn a_host_that_contradicts_the_target_is_refused() {
    let read =
        |target: &str, host: &str| read_head(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());

    assert_eq!(read("http://shop.test/", "admin.test"), Err(Refusal::TwoHosts));
    assert_eq!(read("http://shop.test@admin.test/", "shop.test"), Err(Refusal::Target));
    assert!(read("http://Shop.test:80/a", "shop.test:80").is_ok());
    assert!(read("http://shop.test/a", "shop.test").is_ok());
}

/// Chunk extensions, sizes in odd writing and trailers are where readers of chunks disagree.
#[test]
fn odd_chunks_are_refused() {
    for text in [
        "3;x=\"\n\"\r\nabc\r\n0\r\n\r\n",
        "3;a\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcX\r\n0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
    ] {
        assert!(Chunked::default().read(text.as_bytes(), &mut Vec::new()).is_err(), "{text:?}");
    }
}

/// `HTTP/1.1` without any length has no body, whatever follows it: that is the next request.
#[test]
fn a_request_without_length_has_no_body() {
    let (head, taken) = read_head(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nGET /admin HTTP/1.1\r\n").unwrap().unwrap();

    assert_eq!((head.framing(), taken), (Framing::None, 28));
}
