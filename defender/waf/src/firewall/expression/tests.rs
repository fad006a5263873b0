use proptest::prelude::*;

use super::{
    function::{Function, Unwrapping},
    tree::{Field, Kind, Operand, Pattern, Test, Value},
    *,
};
use crate::{
    Collection, Request,
    body::{Processor, fill_body},
    firewall::ResponseHead,
    http::{fill_head, read_head},
};

const GET: &str = "GET /api/Control/report.pdf?id=7&id=admin&q=%3Cb%3E HTTP/1.1\r\nHost: Shop.ACME1:8080\r\nUser-Agent: curl/8.5\r\n\
                   X-Forwarded-For: 203.0.113.7\r\nCookie: admin=VHJ1ZQ==; ga=1\r\nContent-Type: text/html; charset=utf-8\r\n\r\n";
/// Source: RFC 7515, appendix A.1: HS256, `iss` joe, `exp` 1300819380.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                     cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn request(head: &str) -> Request {
    let (head, _) = read_head(head.as_bytes()).unwrap().unwrap();
    let mut request = Request::new();
    fill_head(&mut request, &head);
    request
}

fn subject(request: &Request) -> Subject<'_> {
    Subject {
        request,
        body: None,
        response: None,
        response_body: None,
        client: "192.168.3.4".parse().unwrap(),
        country: None,
        secure: true,
        now: 1_300_000_000_000,
    }
}

fn parse(text: &str) -> Expression {
    Expression::parse(RuleKind::Response, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    Expression::parse(RuleKind::Request, text).unwrap_err().to_string()
}

fn holds(text: &str, subject: &Subject<'_>) -> bool {
    matches!(parse(text).judge(subject), Outcome::Holds(_))
}

#[test]
fn the_vendors_examples_of_requests_hold() {
    let request = request(GET);
    let subject = subject(&request);
    for text in [
        r"req.host contains /^.*ACME[1-9]{1,6}$/",
        r#"req.headers["User-Agent"] contains /^curl/"#,
        r"req.header_names contains /^X-Forwarded.*/",
        r#"req.header_names contains "x-forwarded-for""#,
        r#"req.header_values contains "curl/8.5""#,
        r#"req.headers["Content-Type"] contains "text/html""#,
        r#"req.cookie_names contains "ga""#,
        r#"req.cookie_values contains "1""#,
        r#"req.query_params["id"] contains "admin""#,
        r#"req.query_param_names contains "q""#,
        r"req.query_param_values contains /<\w>/",
        r#"req.http_method = "GET" and req.http_method in ("POST", "GET")"#,
        r"req.file_extension contains /pdf$/",
        r#"req.path startswith "/api/" and req.path endswith ".pdf""#,
        r#"req.ip in "192.168.0.0/16" or req.ip = "8.8.8.8""#,
        r#"req.ip in ("10.0.0.0/8", "192.168.3.4") and req.ip != "192.168.3.5""#,
        r#"req.http_version = "1.1" and req.http_scheme = "https""#,
        r#"lowercase(req.path) startswith "/api/control/" and base64Decode(req.cookies["admin"]) contains /^True$/"#,
        r#"not req.headers["x"] = "a" AND req.headers["x"] != "a""#,
    ] {
        assert!(holds(text, &subject), "{text}");
    }
}

#[test]
fn an_element_of_a_list_is_equal_and_a_text_has_it_within() {
    let request = request(GET);
    let subject = subject(&request);

    assert!(!holds(r#"req.header_values contains "curl""#, &subject));
    assert!(holds(r#"req.headers["user-agent"] contains "curl""#, &subject));
    assert!(!holds(r#"req.cookies["GA"] = "1""#, &subject));
    assert!(holds(r#"req.query_params["id"] = "admin" and req.query_params["id"] = "7""#, &subject));
}

#[test]
fn the_host_is_known_by_an_absolute_target_too() {
    let request = request("GET http://inner.test:81/a HTTP/1.1\r\nHost: INNER.test:81\r\n\r\n");
    let subject = subject(&request);

    assert!(holds(r#"req.host = "inner.test""#, &subject) && !holds(r#"req.host = "outer.test""#, &subject));
}

#[test]
fn bodies_are_open_until_they_are_read() {
    let text = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n";
    let mut request = request(text);
    let rule = parse(r#"req.body_params["user.name"] = "root" and req.path = "/login""#);
    assert_eq!(rule.judge(&subject(&request)), Outcome::Open);
    assert_eq!(rule.moment(), Moment::RequestBody);
    assert_eq!(parse(r#"req.body contains "x" and req.path = "/""#).judge(&subject(&request)), Outcome::Fails);

    let body = br#"{"user":{"name":"root"}}"#;
    fill_body(&mut request, body, Some(Processor::Json), 32, false);
    let subject = Subject { body: Some(body), ..subject(&request) };
    assert_eq!(rule.judge(&subject), Outcome::Holds(vec![]));
    assert!(holds(r#"req.body_param_values contains "root" and req.body contains /"name":/"#, &subject));
    assert!(holds(r#"req.body_param_names contains "user.name""#, &subject));
}

#[test]
fn responses_are_open_until_they_come() {
    let request = request(&GET.replace("GET", "POST"));
    let head = ResponseHead {
        status: 404,
        headers: vec![
            (b"Set-Cookie".to_vec(), b"U0VTU0lPTklEPTE=".to_vec()),
            (b"content-type".to_vec(), b"application/json; charset=utf-8".to_vec()),
        ],
    };
    let early = subject(&request);
    let late = Subject { response: Some(&head), response_body: Some(b"somesecret"), ..early };

    for text in [
        r#"req.http_method = "POST" and resp.status_code >= 400 and resp.status_code <= 599"#,
        r#"compressWhitespace(base64Decode(resp.headers["set-cookie"])) contains /SESSIONID/"#,
        r#"resp.content_type = "application/json""#,
        r"resp.body contains /^somesecret$/",
        r#"resp.header_names contains "set-cookie" and not resp.status_code in (200, 201)"#,
    ] {
        assert_eq!(parse(text).judge(&early), Outcome::Open, "{text}");
        assert!(holds(text, &late), "{text}");
    }
}

#[test]
fn what_nobody_knows_neither_holds_nor_fails() {
    let request = request(GET);
    let known = Subject { country: Some("us"), ..subject(&request) };

    for text in [r#"req.country_code = "US""#, r#"not req.country_code = "US""#] {
        assert_eq!(parse(text).judge(&subject(&request)), Outcome::Open, "{text}");
    }
    assert!(holds(r#"req.country_code in ("CA", "US")"#, &known));
}

#[test]
fn groups_of_patterns_are_told() {
    let request = request(GET);
    let told = |text: &str| match parse(text).judge(&subject(&request)) {
        Outcome::Holds(told) => told,
        other => panic!("{text}: {other:?}"),
    };

    assert_eq!(told(r"req.path contains /(\w+)\.(pdf)/"), ["report", "pdf"]);
    assert_eq!(told(r"req.path contains /report/ and not req.path contains /exe/"), ["report"]);
    assert_eq!(told(r#"(req.path contains /api/ and req.path = "x") or req.path contains /pdf/"#), ["pdf"]);
    assert_eq!(message("seen: %regexMatches", &told(r"req.path contains /pdf/")), "seen: pdf");
}

#[test]
fn functions_do_as_the_vendor_says() {
    let apply = |name: &str, value: &str| {
        let changed = Function::named(name).unwrap().apply(value.as_bytes()).into_owned();
        String::from_utf8(changed).unwrap()
    };
    for (name, value, wanted) in [
        ("lowercase", "AbC", "abc"),
        ("compressWhitespace", "a \t\u{A0}\r\n b", "a b"),
        ("removeWhitespace", "a \t\u{A0}b", "ab"),
        ("urlQueryDecode", "a+b%2Bc%zz", "a b+c%zz"),
        ("urlPathDecode", "a+b%2Bc%zz", "a+b+c%zz"),
        ("unicodeDecode", "ＳＥＬＥＣＴ café “x” %u003c\\u003E — 漢", "SELECT cafe \"x\" <> - 漢"),
        ("htmlEntityDecode", "&lt;b&#62;", "<b>"),
        ("base64Decode", "VHJ1ZQ==", "True"),
        ("replaceComments", "a/*x*/b/* y */c", "a b c"),
        ("removeCommentSymbols", "UN/**/ION -- #", "UNION -- #"),
        ("removeTags", "a&lt;b&GT;<c", "a b <c"),
    ] {
        assert_eq!(apply(name, value), wanted, "{name}");
    }
}

#[test]
fn tokens_are_read_with_and_without_their_scheme() {
    for scheme in ["Bearer ", "bearer  ", ""] {
        let request = request(&format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {scheme}{TOKEN}\r\n\r\n"));
        let subject = subject(&request);
        for text in [
            r#"jwtPayload(req.headers["Authorization"]) contains /"iss":"joe"/"#,
            r#"jwtPayloadValue(req.headers["Authorization"], "http://example.com/is_root") contains /^true$/"#,
            r#"jwtHeader(req.headers["Authorization"]) contains "JWT""#,
            r#"lowercase(jwtHeaderValue(req.headers["Authorization"], "alg")) = "hs256""#,
            r#"jwtValid(req.headers["Authorization"])"#,
            r#"not jwtPayloadValue(req.headers["Authorization"], "nothing") contains /.*/"#,
        ] {
            assert!(holds(text, &subject), "{scheme}: {text}");
        }
        let later = Subject { now: 1_300_819_380_000, ..subject };
        assert!(holds(r#"not jwtValid(req.headers["Authorization"])"#, &later));
    }
}

#[test]
fn tokens_that_cannot_be_right_are_not_valid() {
    let encoded = |text: &str| {
        let padded = crate::transformation::Transformation::Base64Encode.apply(text.as_bytes()).into_owned();
        String::from_utf8(padded).unwrap().trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let valid = |header: &str, payload: &str, signature: usize| {
        let text = format!("{}.{}.{}", encoded(header), encoded(payload), encoded(&"x".repeat(signature)));
        token::is_valid(text.as_bytes(), 1_000_000)
    };

    assert!(valid(r#"{"alg":"HS256"}"#, r#"{"exp":1001,"iat":1000,"nbf":999.5}"#, 32));
    assert!(valid(r#"{"alg":"RS256","jku":"https://a"}"#, "{}", 256));
    assert!(valid(r#"{"alg":"none"}"#, "{}", 0));
    for (header, payload, signature) in [
        (r#"{"alg":"HS256"}"#, "{}", 31),
        (r#"{"alg":"none"}"#, "{}", 32),
        (r#"{"alg":"HS256","jwk":{}}"#, "{}", 32),
        (r#"{"alg":"HS256"}"#, r#"{"exp":1000}"#, 32),
        (r#"{"alg":"HS256"}"#, r#"{"exp":"9999"}"#, 32),
        (r#"{"alg":"HS256"}"#, r#"{"iat":1001}"#, 32),
        (r#"{"alg":"HS256"}"#, r#"{"nbf":1001}"#, 32),
        ("{}", "{}", 32),
        ("[]", "{}", 32),
        (r#"{"alg":"HS256"}"#, "[]", 32),
    ] {
        assert!(!valid(header, payload, signature), "{header} {payload} {signature}");
    }
    assert!(!token::is_valid(b"a.b.c.d.e", 0) && !token::is_valid(b"", 0));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, wanted) in [
        ("", "line 1, column 1: a field such as `req.path`, or a function, is missing here"),
        ("req.path =", "line 1, column 11: what is compared stands in double quotes"),
        ("req.path = /a/", "line 1, column 12: patterns stand behind `contains` alone"),
        ("req.path ~ \"a\"", "line 1, column 10: `~` is not understood"),
        ("req.path like \"a\"", "line 1, column 10: `like` is not an operator"),
        ("req.path = \"a\"\n  req.body", "line 2, column 3: `and` or `or` is missing here"),
        ("req.ip in \"1.2.3.4/33\"", "line 1, column 11: `1.2.3.4/33` is neither an IP address nor a CIDR block"),
        ("req.path contains /(/", "line 1, column 19: the pattern `(` is not understood"),
        ("req.path contains /(?=a)/", "line 1, column 19: look-aheads need more than linear time"),
        ("req.path contains /a", "line 1, column 19: this pattern does not end; a `/` is missing"),
        ("req.path contains /((a{99}){99}){99}/", "line 1, column 19: the pattern `((a{99}){99}){99}` is too large"),
        ("req.path = \"\\x\"", "line 1, column 13: `\\x` is not an escape"),
        ("req.path = \"a", "line 1, column 12: this text does not end"),
        ("req.headers = \"a\"", "`req.header_values` has all its values"),
        ("req.path[\"a\"] = \"a\"", "line 1, column 1: `req.path` has no keys"),
        ("req.header_names = \"a\"", "is not compared by `=`, only by in, contains, startswith, endswith"),
        ("resp.status_code = 200", "`resp.status_code` is only known in rules of type `waas-response`"),
        ("req.size > 3", "line 1, column 1: `req.size` is not a field; there are req.host, "),
        ("upper(req.path) = \"A\"", "line 1, column 1: `upper` is not a function; there are lowercase, "),
        ("lowercase(req.ip) = \"a\"", "`lowercase` takes a text, `req.ip` is none"),
        ("jwtPayloadValue(req.path) = \"a\"", "line 1, column 25: `,` is missing here"),
        ("(req.path = \"a\"", "line 1, column 16: `)` is missing here"),
        ("req.path = \"a\")", "line 1, column 15: `)` closes nothing"),
        ("req.path in ()", "line 1, column 14: what is compared stands in double quotes"),
        ("99999999999 = 1", "line 1, column 1: `99999999999` is not a number from 0 to 4294967295"),
    ] {
        let found = error(text);
        assert!(found.contains(wanted), "{text}: {found}");
    }
    assert!(error(&"(".repeat(40)).contains("nested more than 32 deep"));
    assert!(error(&format!("{}req.path", "lowercase(".repeat(40))).contains("nested more than 32 deep"));
    assert!(error(&"a".repeat(20_000)).contains("at most 16384 bytes"));
}

#[test]
fn conditions_are_printed_in_one_form() {
    for (text, wanted) in [
        ("req.ip in \"10.0.0.0/8\"", "req.ip in (\"10.0.0.0/8\")"),
        (
            "not(req.path=\"a\")OR req.path=\"b\" And req.path=\"c\"",
            "not req.path = \"a\" or req.path = \"b\" and req.path = \"c\"",
        ),
        (
            "(req.path = \"a\" or req.path contains /a\\/b/) and jwtValid(req.headers[\"a\"])",
            "(req.path = \"a\" or req.path contains /a\\/b/) and jwtValid(req.headers[\"a\"])",
        ),
        (
            "jwtHeaderValue ( req.headers [ \"a\" ] , \"kid\" ) contains /\\.\\.[\\\\\\/]/",
            "jwtHeaderValue(req.headers[\"a\"], \"kid\") contains /\\.\\.[\\\\\\/]/",
        ),
    ] {
        assert_eq!(parse(text).to_string(), wanted);
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \"\\\\\n\t\r/é.\\[\\]()]{0,8}"
}

fn operand() -> impl Strategy<Value = Operand> {
    let field = (0..Field::ALL.len(), text()).prop_map(|(at, key)| match Field::ALL[at] {
        (_, field, Kind::Map, _) => Operand::Selected(field, key),
        (_, field, ..) => Operand::Field(field),
    });
    field.prop_recursive(4, 4, 1, |inner| {
        (inner, 0..Function::ALL.len() + 4, text()).prop_map(|(inner, at, key)| {
            if matches!(inner.kind(), Kind::Number | Kind::Address) {
                return inner;
            }
            let inner = Box::new(inner);
            match Function::ALL.get(at) {
                Some((_, function)) => Operand::Changed(*function, inner),
                None => Operand::Token(
                    match at - Function::ALL.len() {
                        0 => Unwrapping::Payload,
                        1 => Unwrapping::Header,
                        2 => Unwrapping::PayloadValue(key),
                        _ => Unwrapping::HeaderValue(key),
                    },
                    inner,
                ),
            }
        })
    })
}

fn term() -> impl Strategy<Value = Tree> {
    let pattern = prop::sample::select(vec!["a", r"^\w+\/[^\/]*$", r"(a|b)\.\.[\\\/]", r#"""#, r"\d{2,3}"]);
    (operand(), 0..8_usize, text(), any::<u32>(), pattern).prop_map(|(operand, at, text, number, source)| {
        let value = Value::Text(text.clone());
        let test = match (operand.kind(), at) {
            (Kind::Number, 0) => Test::Equal(Value::Number(number)),
            (Kind::Number, 1) => Test::Less(number),
            (Kind::Number, 2) => Test::AtLeast(number),
            (Kind::Number, _) => Test::In(vec![Value::Number(number), Value::Number(7)]),
            (Kind::Address, _) => {
                Test::In(vec![Value::Network("2001:db8::/32".into(), "2001:db8::".parse().unwrap(), 32)])
            }
            (_, 0) => Test::Contains(text),
            (_, 1) => {
                let regex = crate::operator::pattern(source).unwrap();
                Test::Fits(Pattern { source: source.to_owned(), regex })
            }
            (_, 2) => Test::StartsWith(text),
            (_, 3) => Test::EndsWith(text),
            (Kind::Text, 4) => Test::Equal(value),
            (Kind::Text, 5) => Test::Unequal(value),
            (Kind::Text, 6) => return Tree::Valid(operand),
            _ => Test::In(vec![value.clone(), value]),
        };
        Tree::Term(operand, test)
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    term().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| Tree::Any(flat(parts, false))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| Tree::All(flat(parts, true))),
            inner.prop_map(|part| Tree::Not(Box::new(part))),
        ]
    })
}

/// Parts of the same kind as the whole are wrapped, as the parser makes no such trees of what is printed without parentheses.
fn flat(parts: Vec<Tree>, all: bool) -> Vec<Tree> {
    parts
        .into_iter()
        .map(|part| match part {
            Tree::Any(_) if !all => Tree::Not(Box::new(part)),
            Tree::All(_) if all => Tree::Not(Box::new(part)),
            part => part,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever is printed reads as the same condition.
    #[test]
    fn printing_and_reading_are_inverse(tree in tree()) {
        let printed = tree.to_string();
        let read = Expression::parse(RuleKind::Response, &printed);
        prop_assert_eq!(read.map(|read| read.tree), Ok(tree), "{}", printed);
    }

    /// No text makes the reader panic, and what it reads comes back from its printed form.
    #[test]
    fn any_text_is_read_or_refused(text in r#"((not|and|or|in|contains|=|<|,|\(|\)|req\.path|req\.ip|lowercase\(|"a"|/b/|[0-9]|\\|"|\n|é) ?){0,12}"#) {
        if let Ok(read) = Expression::parse(RuleKind::Request, &text) {
            prop_assert_eq!(Expression::parse(RuleKind::Request, &read.to_string()), Ok(read));
        }
    }

    /// No bytes make a function panic, or give more bytes than came in.
    #[test]
    fn functions_take_any_bytes(value in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"%u\\/*&lt;+ \xc2\xa0.".to_vec())], 0..64)) {
        for (name, function) in Function::ALL {
            prop_assert!(function.apply(&value).len() <= value.len(), "{}", name);
        }
        token::is_valid(&value, 0);
        for unwrapping in [Unwrapping::Payload, Unwrapping::Header, Unwrapping::PayloadValue("a".into())] {
            unwrapping.apply(&value);
        }
    }

    /// No request makes a condition panic.
    #[test]
    fn conditions_take_any_request(tree in tree(), names in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let mut request = Request::new();
        for (name, collection) in names.iter().zip([Collection::RequestHeaders, Collection::ArgsGet, Collection::RequestUriRaw]) {
            request.add(collection, name, name);
        }
        let expression = Expression { tree };
        let _ = expression.judge(&Subject { body: Some(b"a"), response_body: Some(b"b"), country: Some("US"), ..subject(&request) });
    }
}
