use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::http::{fill_head, read_head};

fn request(line: &str, fields: &str) -> Request {
    let (head, _) = read_head(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap().unwrap();
    let mut request = Request::new();
    fill_head(&mut request, &head);
    request
}

fn observe(discovery: &mut Discovery, line: &str, fields: &str, body: &str, status: u16) {
    discovery.observe(&Observation {
        request: &request(line, fields),
        body: Some(body.as_bytes()),
        status,
        secure: true,
        sensitive: false,
        now: 1_000 + discovery.len() as u64,
    });
}

fn paths(discovery: &mut Discovery) -> Vec<String> {
    discovery.take().endpoints.into_iter().map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect()
}

#[test]
fn only_what_resembles_an_api_is_learnt() {
    let mut discovery = Discovery::new();
    for (line, fields, status) in [
        ("GET /app.css", "", 200),
        ("GET /missing", "", 404),
        ("POST /upload", "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 0\r\n", 200),
        ("OPTIONS /users", "", 204),
        ("GET /a%00b", "", 200),
    ] {
        observe(&mut discovery, line, fields, "", status);
    }
    assert!(discovery.is_empty());

    observe(&mut discovery, "GET /v1.2/users/", "", "", 200);
    observe(&mut discovery, "DELETE /users/7", "Content-Type: text/plain\r\n", "", 302);
    assert_eq!(paths(&mut discovery), ["DELETE /users/{id}", "GET /v1.2/users"]);
}

#[test]
fn values_in_paths_are_one() {
    let none = HashSet::new();
    for (path, wanted) in [
        ("/users/42/orders/7f1c1d5e-8a4b-4f0e-9d55-0a1b2c3d4e5f", "/users/{id}/orders/{id2}"),
        ("/days/2026-11-21", "/days/{id}"),
        ("/u/a@b.test", "/u/{id}"),
        ("/t/eyJhbGciOiJIUzI1NiJ9abc123", "/t/{id}"),
        ("/commits/deadbeef01", "/commits/{id}"),
        ("/api/v2/search", "/api/v2/search"),
        ("/face/added", "/face/added"),
        ("//", "/"),
    ] {
        assert_eq!(path::general(path, &none), wanted, "{path}");
    }
}

#[test]
fn names_that_are_too_many_are_values() {
    let mut discovery = Discovery::new();
    for name in 0..MOST_SIBLINGS {
        observe(&mut discovery, &format!("GET /shop/{}/price?x=1", word(name)), "", "", 200);
    }
    assert_eq!(discovery.take().endpoints.len(), MOST_SIBLINGS);

    observe(&mut discovery, "GET /shop/onemore/price?y=a", "", "", 200);
    observe(&mut discovery, "GET /shop/another/price", "", "", 200);
    let learnt = discovery.take();
    assert_eq!(learnt.endpoints.len(), 1);
    assert_eq!((learnt.endpoints[0].path.as_str(), learnt.endpoints[0].hits), ("/shop/{id}/price", 2));
    assert_eq!(learnt.wide, ["/shop"]);
    // Told again and again: whoever did not hear it, or forgot, hears it the next time.
    assert_eq!(discovery.take().wide, ["/shop"]);
    let wanted = json!({"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "string"}}});
    assert_eq!(serde_json::to_value(&learnt.endpoints[0].query).unwrap(), wanted);
}

/// A word without digits, another for each number.
fn word(number: usize) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'k')).collect()
}

#[test]
fn bodies_and_queries_have_shapes() {
    let mut discovery = Discovery::new();
    let kind = "Content-Type: application/json\r\nAuthorization: Bearer x\r\n";
    observe(
        &mut discovery,
        "POST /orders?dry=true&n=1",
        kind,
        r#"{"items":[{"sku":"a","count":1},{"count":1.5}],"note":null}"#,
        201,
    );
    observe(&mut discovery, "POST /orders?n=x", kind, r#"{"items":[],"note":"x"}"#, 200);
    let learnt = discovery.take();

    assert_eq!(
        serde_json::to_value(&learnt).unwrap(),
        json!({"endpoints": [{
            "path": "/orders", "method": "POST", "hits": 2, "firstSeen": 1000, "lastSeen": 1001, "statuses": {"200": 1, "201": 1},
            "query": {"type": "object", "properties": {"dry": {"type": "boolean"}, "n": {"type": ["integer", "string"]}}},
            "body": {"type": "object", "properties": {
                "items": {"type": "array", "items": {"type": "object", "properties": {"count": {"type": "number"}, "sku": {"type": "string"}}}},
                "note": {"type": ["null", "string"]}}},
            "sensitive": false, "unauthenticated": false, "unencrypted": false,
        }], "wide": [], "dropped": 0})
    );
    assert_eq!(discovery.take(), Learnt::default());
}

#[test]
fn risks_are_flagged() {
    let flags = |line: &str, fields: &str, body: &str| {
        let mut discovery = Discovery::new();
        observe(&mut discovery, line, fields, body, 200);
        let endpoint = discovery.take().endpoints.remove(0);
        (endpoint.sensitive, endpoint.unauthenticated)
    };
    let kind = "Content-Type: application/json\r\n";

    assert_eq!(flags("GET /a", "", ""), (false, true));
    assert_eq!(flags("GET /a?access_token=x", "X-API-Key: k\r\n", ""), (true, false));
    assert_eq!(flags("GET /a", "Cookie: JSESSIONID=1\r\n", ""), (false, false));
    assert_eq!(flags("GET /a", "Cookie: bartizan_session=1; theme=dark\r\n", ""), (false, true));
    assert_eq!(flags("POST /a", kind, r#"{"x":[{"card":"4111 1111 1111 1111"}]}"#), (true, true));
    assert_eq!(flags("POST /a", kind, r#"{"x":"4111111111111112","password":""}"#), (false, true));
}

/// Whoever gets answers to names of his own choosing fills no memory.
#[test]
fn memory_is_bounded() {
    let mut discovery = Discovery::new();
    let names = |from: usize| (from..from + 200).map(|name| format!("{}=1", word(name))).collect::<Vec<_>>().join("&");
    for number in 0..1_500 {
        // Never too many under one path, so that nothing is merged.
        let path = format!("/{}/{}/{}", word(number % 11), word(number / 11 % 12), word(number / 132));
        observe(&mut discovery, &format!("GET {path}?{}", names(number * 200)), "", "", 200);
    }
    let learnt = discovery.take();

    assert_eq!((learnt.endpoints.len(), learnt.dropped), (MOST_ENDPOINTS, 500));
    let kept = |endpoint: &Endpoint| {
        let query = serde_json::to_value(&endpoint.query).unwrap();
        query.get("properties").and_then(Value::as_object).map_or(0, serde_json::Map::len)
    };
    assert_eq!(learnt.endpoints.iter().map(kept).sum::<usize>(), MOST_PARAMETERS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A general path is its own general path, whatever is wide.
    #[test]
    fn paths_are_general_once(path in "(/[a-z0-9@é{}.-]{0,10}){0,5}", wide in prop::collection::hash_set("(/[a-z]){0,2}", 0..3)) {
        let once = path::general(&path, &wide);
        prop_assert_eq!(path::general(&once, &wide), once);
    }

    /// Any body and any query is learnt or passed over.
    #[test]
    fn anything_is_learnt_or_passed_over(query in "[a-z0-9&=%.-]{0,20}", body in r#"[\[\]{}",:a1]{0,30}"#) {
        observe(&mut Discovery::new(), &format!("POST /a?{query}"), "Content-Type: application/json\r\n", &body, 200);
    }
}
