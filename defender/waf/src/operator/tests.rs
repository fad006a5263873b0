//! Operators against cases of the manual, patterns against what PCRE makes of them.

use proptest::prelude::*;

use super::*;

fn no_file(_: &str) -> Option<Vec<u8>> {
    None
}

fn operator(name: &str, argument: &str) -> Operator {
    compile(name, argument, &no_file).unwrap()
}

/// Whether an operator with a constant argument holds.
fn holds(name: &str, argument: &str, value: &[u8]) -> bool {
    let operator = operator(name, argument);
    let filled = operator.template().and_then(Template::constant).unwrap_or_default().to_vec();
    let answer = operator.ask(value, &filled);
    assert_eq!(answer.is_some(), operator.holds(value, &filled));
    answer.is_some()
}

/// Texts are compared byte by byte, with regard to case.
#[test]
fn texts() {
    assert!(holds("streq", "GET", b"GET") && !holds("streq", "GET", b"get"));
    assert!(holds("contains", "ab", b"xaby") && holds("contains", "", b"") && !holds("contains", "ab", b"aB"));
    assert!(holds("beginsWith", "ab", b"abc") && !holds("beginsWith", "ab", b"cab"));
    assert!(holds("endsWith", "ab", b"cab") && !holds("endsWith", "ab", b"abc"));
    assert!(holds("within", "GET POST", b"POST") && !holds("within", "GET POST", b"PUT") && holds("within", "x", b""));
}

/// Numbers are read as C reads them: no number is 0, and none overflows.
#[test]
fn numbers() {
    assert!(holds("eq", "0", b"abc") && holds("eq", "15", b" 15x") && holds("eq", "-3", b"-3"));
    assert!(holds("gt", "9", b"10") && !holds("gt", "9", b"9") && holds("ge", "9", b"9"));
    assert!(holds("lt", "9", b"8") && holds("le", "9", b"9") && !holds("le", "9", b"+10"));
    assert!(holds("gt", "100", b"99999999999999999999999999") && holds("lt", "0", b"-99999999999999999999999999"));
}

/// Words are found in either case; what was found is captured.
#[test]
fn words() {
    let words = operator("pm", "nikto  sql|6d 61|p |41 20 42|");
    assert_eq!(words.ask(b"a SQLMap b", b""), Some(vec![2..8]));
    assert_eq!(words.ask(b"xa by", b""), Some(vec![1..4]));
    assert_eq!(words.ask(b"sql map", b""), None);
    let file = |name: &str| (name == "list.data").then(|| b"# comment\n\n  one two \r\nthree\n #x\n".to_vec());
    let words = compile("PMFromFile", "list.data", &file).unwrap();
    assert_eq!(words.ask(b"ONE TWO", b""), Some(vec![0..7]));
    assert!(words.ask(b"# comment", b"").is_none() && words.ask(b"#x", b"").is_none());
}

/// What cannot be compiled is told in words.
#[test]
fn errors_name_what_is_wrong() {
    for (name, argument, part) in [
        ("nothing", "", "`@nothing`"),
        ("pmFromFile", "a.data", "`a.data`"),
        ("pm", "|4|", "|4|"),
        ("pm", "a|41", "not closed"),
        ("pm", "", "no words"),
        ("ipMatch", "10.0.0.0/33", "10.0.0.0/33"),
        ("validateByteRange", "1-256", "1-256"),
        ("validateByteRange", "9-1", "9-1"),
        ("streq", "%{nothing}", "nothing"),
        ("rx", "a(?=b)", "look-aheads"),
        ("rx", "(?<!a)b", "look-behinds"),
        ("rx", r"(a)\1", "back-references"),
        ("rx", "a++", "possessive"),
        ("rx", "(?>a)", "atomic groups"),
        ("geoLookup", "", "countries"),
        ("rx", "[a", "not closed"),
    ] {
        let error = compile(name, argument, &no_file).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Networks of both families; a mapped address is its IPv4 address.
#[test]
fn networks() {
    let list = "127.0.0.1,10.0.0.0/8 2001:db8::/32,::1";
    for value in ["127.0.0.1", "10.255.1.2", "::ffff:10.1.1.1", "2001:db8:1::5", "::1"] {
        assert!(holds("ipMatch", list, value.as_bytes()), "{value}");
    }
    for value in ["127.0.0.2", "11.0.0.0", "2001:db9::", "", "10.1", "x"] {
        assert!(!holds("ipMatch", list, value.as_bytes()), "{value}");
    }
    assert!(holds("ipMatch", "0.0.0.0/0", b"9.9.9.9") && holds("ipMatch", "::/0", b"9.9.9.9"));
    let file = |_: &str| Some(b"# ours\n10.0.0.0/8 # inside\n\n::1\n".to_vec());
    let networks = compile("ipMatchFromFile", "x", &file).unwrap();
    assert!(networks.holds(b"10.1.1.1", b"") && networks.holds(b"::1", b"") && !networks.holds(b"12.1.1.1", b""));
}

/// The validating operators hold for what is wrong.
#[test]
fn validations() {
    assert!(!holds("validateByteRange", "9,10,13,32-126", b"ok\r\n") && holds("validateByteRange", "32-126", b"a\x00"));
    assert!(!holds("validateUrlEncoding", "", b"%20a%fF") && !holds("validateUrlEncoding", "", b""));
    for value in [&b"%"[..], b"%2", b"%2g", b"%%20", b"a%u0041"] {
        assert!(holds("validateUrlEncoding", "", value));
    }
    assert!(!holds("validateUtf8Encoding", "", "a\u{e9}\u{20ac}\u{1f600}".as_bytes()));
    for value in
        [&b"\xc0\xaf"[..], b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xc3"]
    {
        assert!(holds("validateUtf8Encoding", "", value));
    }
    assert!(holds("unconditionalMatch", "", b"") && !holds("noMatch", "", b""));
}

fn matches(pattern: &str, value: &[u8]) -> bool {
    holds("rx", pattern, value)
}

/// Where PCRE and the engine read a text in two ways, PCRE's counts.
#[test]
fn patterns_mean_what_pcre_means() {
    assert!(matches(r"^\<a\>$", b"<a>") && !matches(r"\<", b"a"));
    assert!(matches("^[a&&b]+$", b"&ab") && matches("^[[a]+$", b"[a") && matches("^[a~~]+$", b"~a"));
    assert!(
        matches("^[+--]+$", b"+,-")
            && matches("^[--/]+$", b"-./")
            && matches("^[a-]+$", b"-a")
            && matches(r"^[\w-.]+$", b"a-.")
    );
    assert!(
        matches(r"^[a-\d]+$", b"a-1")
            && matches("^[]a]+$", b"]a")
            && matches("^[^]a]$", b"b")
            && !matches("^[^]a]$", b"]")
    );
    assert!(matches(r"^\x{e9}\xE9\x4a[\x{FF}]\x$", b"\xe9\xe9J\xff\x00"));
    assert!(matches(r"^\v\h[\v\h]$", b"\n \x85") && matches(r"^[\b]$", b"\x08") && matches(r"^\e\0\012$", b"\x1b\0\n"));
    assert!(matches("^a{,2}{x}b{2}c{1,}d{1,2}?$", b"a{,2}{x}bbccd"));
    assert!(matches("(?i)^[É]A$", b"\xc3a"));
    assert!(matches("^[[:alpha:][:digit:]]+$", b"a1") && matches("^[[:x]+$", b"[:x") && matches("(?x) ^ [ #] $", b" "));
    assert!(
        matches("^a.b$", b"a\nb") && matches("^a.b$", b"a\xffb") && !matches("a$", b"a\n") && !matches("^b", b"a\nb")
    );
    assert!(matches("^(?:a?)?(?:b|c)*?d+?$", b"abcd") && matches(r"^\(?\?+x$", b"(??x") && matches(r"a\Z", b"a\n"));
    assert!(matches(r"^[\s\x0b\-\]\\/]+$", b" \x0b-]\\/") && matches(r#"^[\"'`]\/\-\"$"#, b"'/-\""));
}

/// Groups are captured by number, ten at most; one that took no part is empty.
#[test]
fn groups_are_captured() {
    assert_eq!(operator("rx", "b(c)|(d)").ask(b"abcd", b""), Some(vec![1..3, 2..3, 0..0]));
    assert_eq!(operator("rx", "b+").ask(b"abbc", b""), Some(vec![1..3]));
    let many = operator("rx", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)").ask(b"abcdefghijk", b"").unwrap();
    assert_eq!(many.len(), 10);
}

/// Injections are told with their fingerprint; plain values are none.
#[test]
fn injections() {
    assert_eq!(fingerprint(b"1' OR '1'='1").as_deref(), Some("s&sos"));
    assert_eq!(fingerprint(b"-1 UNION SELECT 1,2,3--").as_deref(), Some("1UE1c"));
    assert!(fingerprint(b"select the best of union street").is_none() && fingerprint(b"").is_none());
    assert!(holds("detectXSS", "", b"<script>alert(1)</script>") && holds("detectXSS", "", b"\" onload=\"alert(1)"));
    assert!(!holds("detectXSS", "", b"a < b and c > d"));
    assert_eq!(operator("detectSQLi", "").ask(b"1 or 1=1", b""), Some(vec![0..8]));
}

proptest! {
    /// A literal stands for itself however it is escaped, within a class and without.
    #[test]
    fn literals_match_themselves(byte in 0_u8..=255) {
        for text in [format!("^\\x{byte:02x}$"), format!("^\\x{{{byte:x}}}$"), format!("^[\\x{byte:02x}]$")] {
            prop_assert!(matches(&text, &[byte]));
        }
        if byte.is_ascii_punctuation() {
            let plain = char::from(byte);
            let text = format!("^\\{plain}[\\{plain}]$");
            prop_assert!(matches(&text, &[byte, byte]));
        }
    }

    /// No pattern and no argument panics; what compiles also judges any value.
    #[test]
    fn any_argument_is_read_or_refused(
        name in proptest::sample::select(vec!["rx", "pm", "ipMatch", "validateByteRange", "streq"]),
        argument in r"[\\\[\](){}*+?|^$.,:<>&~#a-dx0-9é%/ -]{0,24}",
        value in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        if let Ok(operator) = compile(name, &argument, &no_file) {
            prop_assert_eq!(operator.ask(&value, b"").is_some(), operator.holds(&value, b""));
        }
    }

    /// Numbers agree with a naive reading by Rust's own parser.
    #[test]
    fn numbers_agree(text in " {0,2}[+-]?[0-9]{0,25}[a-z]?") {
        let digits: String = text.trim_start().chars().enumerate()
            .take_while(|(place, next)| next.is_ascii_digit() || *place == 0 && "+-".contains(*next)).map(|(_, next)| next).collect();
        let expected = digits.parse::<i128>().unwrap_or(0).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        prop_assert_eq!(i128::from(number::read(text.as_bytes())), expected);
    }

    /// Networks agree with a comparison of written bits.
    #[test]
    fn networks_agree(network in any::<u32>(), address in any::<u32>(), prefix in 0_u8..=32, keep in 0_u8..=32) {
        let mask = u32::MAX.checked_shl(32 - u32::from(keep)).unwrap_or(0);
        let address = (network & mask) | (address & !mask);
        let bits = |number: u32| format!("{number:032b}")[..usize::from(prefix)].to_owned();
        let text = format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(network));
        let value = std::net::Ipv4Addr::from_bits(address).to_string();
        prop_assert_eq!(holds("ipMatch", &text, value.as_bytes()), bits(network) == bits(address));
    }
}
