//! What holds for every transformation and every value.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{MOST_GROWTH, Transformation as T, reference};

/// Bytes that mean something to a transformation are likelier than others.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let telling =
        b"%+\\/*-#<>!&;u0123456789abcdefABCDEFxX=\"'^,.( \t\n\r\x0B\x00\xA0\xC0\xC2\xE0\xED\xF0\xF5\xFF\x80\x9F\xBF";
    let byte = prop_oneof![4 => proptest::sample::select(telling.to_vec()), 1 => any::<u8>()];
    let piece = proptest::sample::select(vec![
        "%u00e9",
        "%uFF1c",
        "%2",
        "\\u0041",
        "\\uff1C",
        "\\x3c",
        "\\101",
        "\\777",
        "&#60",
        "&#x3c;",
        "&lt;",
        "&quot",
        "/*",
        "*/",
        "<!--",
        "-->",
        "--",
        "../",
        "./",
        "..\\",
        "//",
        "0x41",
        "QUJD",
        "\\00003c ",
        "&#99999999999999999999;",
    ]);
    prop_oneof![
        3 => proptest::collection::vec(byte, 0..60),
        2 => proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

fn transformation() -> impl Strategy<Value = T> {
    proptest::sample::select(T::all().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    /// Fast and naive transformations say the same of any value, and a value is borrowed exactly when it stays as it is.
    #[test]
    fn agree_with_the_naive_reference(value in value(), transformation in transformation()) {
        let output = transformation.apply(&value);
        prop_assert_eq!(&output[..], &reference::apply(transformation, &value)[..], "{:?}", transformation);
        prop_assert_eq!(matches!(output, Cow::Borrowed(_)), *output == value[..]);
    }

    /// No transformation makes much of little.
    #[test]
    fn outputs_are_bounded(value in value(), transformation in transformation()) {
        prop_assert!(transformation.apply(&value).len() <= MOST_GROWTH * value.len() + 20);
    }

    /// What only drops or folds bytes finds nothing more to do a second time.
    #[test]
    fn dropping_and_folding_are_idempotent(value in value(), transformation in proptest::sample::select(vec![
        T::Lowercase, T::Uppercase, T::RemoveNulls, T::ReplaceNulls, T::RemoveWhitespace, T::CompressWhitespace, T::Trim,
        T::TrimLeft, T::TrimRight,
    ])) {
        let once = transformation.apply(&value).into_owned();
        prop_assert!(matches!(transformation.apply(&once), Cow::Borrowed(_)));
    }

    /// What was encoded is decoded to itself.
    #[test]
    fn decoders_undo_their_encoders(value in value()) {
        for (encoder, decoder) in
            [(T::Base64Encode, T::Base64Decode), (T::Base64Encode, T::Base64DecodeExt), (T::HexEncode, T::HexDecode),
             (T::UrlEncode, T::UrlDecode), (T::UrlEncode, T::UrlDecodeUni)]
        {
            let encoded = encoder.apply(&value);
            prop_assert_eq!(&decoder.apply(&encoded)[..], &value[..], "{:?}", decoder);
        }
    }
}

/// 256 KiB of whatever a transformation dwells on is done at once: a quadratic one would not come to an end.
#[test]
fn long_values_are_no_trouble() {
    let pieces: [&[u8]; 22] = [
        b"a",
        b"\\",
        b"%",
        b"+",
        b"/",
        b"../",
        b"./",
        b"/..",
        b"&",
        b"&#",
        b"&#x",
        b"&#1",
        b"/*",
        b"*/",
        b"<!--",
        b"-->",
        b"0x",
        b"0",
        b" ",
        b"\xC2",
        b"\xC2\x80",
        b"=",
    ];
    for piece in pieces {
        for length in [1 << 10, 1 << 18] {
            let value: Vec<u8> = piece.iter().copied().cycle().take(length).collect();
            for transformation in T::all() {
                assert!(transformation.apply(&value).len() <= MOST_GROWTH * length + 20, "{transformation:?}");
            }
        }
    }
}

/// Every transformation is found by its name in any case, and by no other.
#[test]
fn names_are_those_of_seclang() {
    assert_eq!(T::named("urlDecodeUni"), Some(T::UrlDecodeUni));
    assert_eq!(T::named("utf8toUnicode"), Some(T::Utf8ToUnicode));
    assert_eq!(T::named("normalisePathWin"), Some(T::NormalizePathWin));
    assert_eq!(T::named("REPLACECOMMENTS"), Some(T::ReplaceComments));
    assert_eq!(T::named("none"), None);
    for transformation in T::all() {
        assert_eq!(T::named(&format!("{transformation:?}")), Some(transformation));
    }
}
