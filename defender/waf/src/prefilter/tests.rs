//! What the filter leaves out cannot hold: generated patterns and values, and the detectors of injections.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*};

use super::{BitSet, ByteSet, Prefilter, Question, Scratch, Shape, TransformationTriggers};
use crate::{
    operator::{pattern, syntax_tree},
    transformation::Transformation,
};

/// Bytes of which values are made: of all alphabets, often those of the patterns.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(prop::sample::select(b"abcABC".to_vec()), 0..12),
        vec(prop::sample::select(b"abAB01_.- /:'\"\\<=;(\0\xC3\n".to_vec()), 0..16),
        vec(any::<u8>(), 0..12),
    ]
}

/// Patterns of every kind of node.
fn any_pattern() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a", "b", "ab", "abc", "ca", "A", "[a-c]", "[^a]", "[ab_]", ".", r"\b", "^", "$", r"\s", r"\d", r"\w", "'",
        r"\xC3", "<", r"\.", "/", "", "[0-9A-Z]", "bab|ca", r"\x5c",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            (inner.clone(), prop::sample::select(vec!["*", "+", "?", "{2}", "{2,}", "{0,3}", "{1,2}", "*?"]))
                .prop_map(|(inner, times)| format!("(?:{inner}){times}")),
            inner.clone().prop_map(|inner| format!("(?i:{inner})")),
            inner.prop_map(|inner| format!("({inner})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A pattern that matches a value is never left out.
    #[test]
    fn a_matching_pattern_is_a_candidate(patterns in vec(any_pattern(), 1..4), values in vec(value(), 1..12)) {
        let questions: Vec<Question> =
            patterns.iter().map(|text| Question::Pattern(syntax_tree(text).unwrap())).collect();
        let prefilter = Prefilter::new(&questions).unwrap();
        let regexes: Vec<_> = patterns.iter().map(|text| pattern(text).unwrap()).collect();
        let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
        for value in &values {
            prefilter.candidates(value, &mut scratch, &mut found);
            for (number, regex) in regexes.iter().enumerate() {
                prop_assert!(!regex.is_match(value) || found.contains(number), "{} on {value:?}", patterns[number]);
            }
        }
    }

    /// Words that occur in a value, in whatever case, are never left out.
    #[test]
    fn words_that_occur_are_candidates(words in vec("[abAB/' ]{1,4}", 1..6), value in value()) {
        let lists: Vec<Vec<Vec<u8>>> = words.iter().map(|word| vec![word.clone().into_bytes(), b"abba".to_vec()]).collect();
        let questions: Vec<Question> = lists.iter().cloned().map(Question::Words).collect();
        let prefilter = Prefilter::new(&questions).unwrap();
        let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
        prefilter.candidates(&value, &mut scratch, &mut found);
        let lower = value.to_ascii_lowercase();
        for (number, list) in lists.iter().enumerate() {
            let occurs = list.iter().any(|word| lower.windows(word.len()).any(|part| part == word.to_ascii_lowercase()));
            prop_assert!(!occurs || found.contains(number));
        }
    }

    /// A chain that the triggers spare changes nothing.
    #[test]
    fn a_spared_chain_is_the_identity(
        chain in vec(prop::sample::select(Transformation::all().collect::<Vec<_>>()), 1..4),
        value in prop_oneof![value(), vec(prop::sample::select(b"aA0xX%+&\\*-#/. ,\t".to_vec()), 0..10)],
    ) {
        if TransformationTriggers::of_chain(&chain).spare(&Shape::of(&value)) {
            let mut output = value.clone();
            for transformation in chain {
                output = transformation.apply(&output).into_owned();
            }
            prop_assert_eq!(output, value);
        }
    }

    /// A transformation that is said to stay within an alphabet gives no other bytes.
    #[test]
    fn what_stays_within_an_alphabet_gives_no_other_bytes(
        transformation in prop::sample::select(Transformation::all().collect::<Vec<_>>()),
        value in vec(prop::sample::select(b"aAbZ019_.- ,:/@+%\\&*;\"(\0\t\xA0".to_vec()), 0..12),
    ) {
        for alphabet in super::ALPHABETS {
            let value: Vec<u8> = value.iter().copied().filter(|byte| alphabet.contains(*byte)).collect();
            if super::stays_within(transformation, &alphabet) {
                let output = transformation.apply(&value).into_owned();
                prop_assert!(ByteSet::of(&output).is_within(&alphabet), "{transformation:?} {value:?}");
            }
        }
    }

    /// The detectors never fire on what the filter leaves out, be it made of any bytes or of the pieces of injections.
    #[test]
    fn a_detected_injection_is_a_candidate(pieces in vec(piece(), 1..8), separator in prop::sample::select(vec!["", "", " ", "/", ".", "-"])) {
        let value = pieces.join(separator.as_bytes());
        assert_detected_is_candidate(&value);
    }

    /// As above, of values that are one word at most: letters, digits and underscores after a number.
    #[test]
    fn a_word_is_no_injection(value in "[0-9a-fx_]{0,6}(union|select|or|and|in|e|x|union|1)?[0-9a-zA-Z_]{0,12}") {
        assert_detected_is_candidate(value.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Words of SQL among names and numbers are never left out where they make an injection.
    #[test]
    fn sql_of_plain_words_is_a_candidate(pieces in vec(sql_piece(), 1..9), separators in vec("( |  |,|:|/|-|--|\\+|\\.|@|, |)", 9)) {
        let value: String = pieces.iter().zip(&separators).flat_map(|(piece, separator)| [&piece[..], separator]).collect();
        assert_detected_is_candidate(value.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Words of SQL after two names, or among signs of all kinds, are never left out where they make an injection.
    #[test]
    fn sql_among_names_and_signs_is_a_candidate(
        names in prop_oneof!["", "", "[a-z]{1,5} +[a-z_]{1,6}", "[a-z]{1,5}:"],
        pieces in vec(sql_piece(), 1..8),
        separators in vec(r"( |  |,|:|;|=|!|\?|<|>|%|~|\^|&|\||&&|\|\||\(|\)|-|--|\+|\.|@|#|\{|\}|\[|\]|\$|\\|é|\t|\n|\*|/\*|'|`|)", 9),
    ) {
        let rest: String = separators.iter().zip(&pieces).flat_map(|(separator, piece)| [&separator[..], piece]).collect();
        assert_detected_is_candidate(format!("{names}{rest}{}", separators[8]).as_bytes());
    }
}

/// What the filter goes by: no fingerprint of an injection begins with two names or with a name and a colon, and none is of
/// names, numbers, operators and marks alone.
#[test]
fn fingerprints_have_more_than_names_and_signs() {
    let keywords = libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;
    let fingerprints: Vec<&str> =
        keywords.iter().filter(|keyword| keyword.token_type == b'F').map(|keyword| &keyword.word[1..]).collect();
    assert!(fingerprints.len() > 8000);
    for fingerprint in fingerprints {
        assert!(!fingerprint.starts_with("NN") && !fingerprint.starts_with("N:"), "{fingerprint}");
        assert!(!fingerprint.bytes().all(|kind| b"N1O,.:;?".contains(&kind)), "{fingerprint}");
    }
}

/// A word of SQL, a name or a number.
fn sql_piece() -> impl Strategy<Value = String> {
    let keywords: Vec<String> =
        libinjectionrs::sqli::sqli_data::SQL_KEYWORDS.iter().map(|keyword| keyword.word.to_ascii_lowercase()).collect();
    let common =
        ["union", "select", "or", "and", "not", "in", "is", "null", "1", "x", "all", "from", "waitfor", "delay"];
    prop_oneof![
        prop::sample::select(keywords),
        prop::sample::select(common.to_vec()).prop_map(str::to_owned),
        "[0-9]{1,3}(\\.|e|e-|f|d|x|)[0-9a-f]{0,2}(union|or|select|)",
        "[a-z_]{1,4}",
    ]
}

fn assert_detected_is_candidate(value: &[u8]) {
    static PREFILTER: LazyLock<Prefilter> =
        LazyLock::new(|| Prefilter::new(&[Question::SqlInjection, Question::CrossSiteScripting]).unwrap());
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    PREFILTER.candidates(value, &mut scratch, &mut found);
    assert!(found.contains(0) || !libinjectionrs::detect_sqli(value).is_injection(), "{value:?}");
    assert!(found.contains(1) || !libinjectionrs::detect_xss(value).is_injection(), "{value:?}");
}

/// A piece of an injection, or any few bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&str] = &[
        "1",
        "union",
        "select",
        "or",
        "and",
        "--",
        "/*",
        "*/",
        "#",
        "'",
        "\"",
        "(",
        ")",
        ",",
        ";",
        "=",
        "0x1f",
        "1e5",
        "x",
        "@@v",
        "{",
        "}",
        "`a`",
        "<",
        "</",
        "<!",
        "<?",
        "<%",
        ">",
        "script",
        "onload",
        "onx",
        "style",
        "src",
        "javascript:",
        "\0",
        "svg",
        "doctype html",
        "[if ",
        "xmlns",
        "a",
        "b_c",
        " ",
        "\n",
        "sp_password",
        "import",
        "entity",
    ];
    prop_oneof![
        4 => prop::sample::select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..3),
    ]
}

/// Every one of libinjection's own words, and every two of a number and a word, is as the filter says.
#[test]
fn every_word_of_sql_alone_is_judged_alike() {
    for keyword in libinjectionrs::sqli::sqli_data::SQL_KEYWORDS {
        for before in ["", "1", "0x1", "1e1", "1f", "_", "x"] {
            for after in ["", "1", "_a", "f"] {
                assert_detected_is_candidate(
                    format!("{before}{}{after}", keyword.word.to_ascii_lowercase()).as_bytes(),
                );
            }
        }
    }
}

/// A filter of no questions finds none.
#[test]
fn no_questions_have_no_candidates() {
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    Prefilter::new(&[]).unwrap().candidates(b"a", &mut scratch, &mut found);
    assert!(found.is_empty());
}

/// The set of a value's bytes has those and no others.
#[test]
fn a_byte_set_holds_the_bytes_of_its_value() {
    let set = ByteSet::of(b"a\0\xFFz?");
    assert_eq!(set.bytes().collect::<Vec<_>>(), [0, b'?', b'a', b'z', 0xFF]);
    assert_eq!(set, ByteSet::from_bytes(b"a\0\xFFz?"));
}

/// A value of a plain name asks for next to nothing, an attack for what it is.
#[test]
fn candidates_are_few() {
    let ask = |text: &str| Question::Pattern(syntax_tree(text).unwrap());
    let questions =
        [ask(r"(?i)union\s+select"), ask(r"<script[^>]*>"), ask(r"[;|]\s*(?:cat|id)\b"), Question::CrossSiteScripting];
    let prefilter = Prefilter::new(&questions).unwrap();
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    for (value, expected) in [
        (&b"a8098c1a-f86e"[..], &[][..]),
        (b"John Smith", &[]),
        (b"1 UNION  SELECT 2", &[0]),
        (b"<script>", &[1, 3]),
        (b"<b>", &[]),
        (b"x; id", &[2]),
    ] {
        prefilter.candidates(value, &mut scratch, &mut found);
        assert_eq!(found.numbers().collect::<Vec<_>>(), expected, "{}", String::from_utf8_lossy(value));
    }
}
