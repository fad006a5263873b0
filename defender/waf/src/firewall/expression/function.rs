//! The functions of expressions: what each makes of a value. Source: the vendor's page on custom rules, "Transformation
//! functions"; where it is silent, the like-named transformation of the engine.

use std::borrow::Cow;

use super::token;
use crate::{http::percent_decoded, transformation::Transformation as T};

/// Changes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Lowercase,
    CompressWhitespace,
    RemoveWhitespace,
    UrlQueryDecode,
    UrlPathDecode,
    UnicodeDecode,
    HtmlEntityDecode,
    Base64Decode,
    ReplaceComments,
    RemoveCommentSymbols,
    RemoveTags,
}

/// Takes something out of a JSON Web Token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unwrapping {
    Payload,
    PayloadValue(String),
    Header,
    HeaderValue(String),
}

impl Function {
    pub(super) const ALL: [(&'static str, Self); 11] = [
        ("lowercase", Self::Lowercase),
        ("compressWhitespace", Self::CompressWhitespace),
        ("removeWhitespace", Self::RemoveWhitespace),
        ("urlQueryDecode", Self::UrlQueryDecode),
        ("urlPathDecode", Self::UrlPathDecode),
        ("unicodeDecode", Self::UnicodeDecode),
        ("htmlEntityDecode", Self::HtmlEntityDecode),
        ("base64Decode", Self::Base64Decode),
        ("replaceComments", Self::ReplaceComments),
        ("removeCommentSymbols", Self::RemoveCommentSymbols),
        ("removeTags", Self::RemoveTags),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, function)| function)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, function)| *function == self).map_or("", |&(name, _)| name)
    }

    /// The value changed, in time linear in it, and never longer than it.
    pub(super) fn apply(self, value: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Lowercase => T::Lowercase.apply(value),
            Self::CompressWhitespace => blanked(value, T::CompressWhitespace),
            Self::RemoveWhitespace => blanked(value, T::RemoveWhitespace),
            Self::UrlQueryDecode => T::UrlDecode.apply(value),
            Self::UrlPathDecode => {
                let pieces: Vec<_> = value.split(|byte| *byte == b'+').map(percent_decoded).collect();
                Cow::Owned(pieces.join(&b'+'))
            }
            Self::UnicodeDecode => plain(value),
            Self::HtmlEntityDecode => T::HtmlEntityDecode.apply(value),
            Self::Base64Decode => T::Base64DecodeExt.apply(value),
            Self::ReplaceComments => T::ReplaceComments.apply(value),
            Self::RemoveCommentSymbols => replaced(value, &[b"/*", b"*/"], b""),
            Self::RemoveTags => replaced(value, &[b"&lt;", b"&gt;"], b" "),
        }
    }
}

impl Unwrapping {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Payload => "jwtPayload",
            Self::PayloadValue(_) => "jwtPayloadValue",
            Self::Header => "jwtHeader",
            Self::HeaderValue(_) => "jwtHeaderValue",
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::PayloadValue(key) | Self::HeaderValue(key) => Some(key),
            Self::Payload | Self::Header => None,
        }
    }

    /// What the token has there; none when it is no token, or has nothing there.
    pub(super) fn apply(&self, value: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Payload => token::payload(value),
            Self::PayloadValue(key) => token::member(&token::payload(value)?, key),
            Self::Header => token::header(value),
            Self::HeaderValue(key) => token::member(&token::header(value)?, key),
        }
    }
}

/// A transformation of blanks, for which no-break spaces are blanks as well.
fn blanked(value: &[u8], transformation: T) -> Cow<'_, [u8]> {
    match replaced(value, &["\u{A0}".as_bytes()], b" ") {
        Cow::Borrowed(value) => transformation.apply(value),
        Cow::Owned(value) => Cow::Owned(transformation.apply(&value).into_owned()),
    }
}

/// The value with each of the marks, in any case, replaced; what the replacing makes anew stays.
fn replaced<'a>(value: &'a [u8], marks: &[&[u8]], by: &[u8]) -> Cow<'a, [u8]> {
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(first) = rest.first() {
        let begins = |mark: &&&[u8]| rest.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark));
        if let Some(mark) = marks.iter().find(begins) {
            output.extend_from_slice(by);
            rest = &rest[mark.len()..];
        } else {
            output.push(*first);
            rest = &rest[1..];
        }
    }
    if output == value { Cow::Borrowed(value) } else { Cow::Owned(output) }
}

/// Characters as the ASCII ones that they look like: `%uHHHH` and `\uHHHH` decoded, full-width forms, accents, quotes, dashes
/// and blanks made plain. What is no UTF-8 and what looks like nothing in ASCII stays.
fn plain(value: &[u8]) -> Cow<'_, [u8]> {
    if value.is_ascii() && memchr::memchr2(b'%', b'\\', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut output = Vec::with_capacity(value.len());
    let mut rest = value;
    while !rest.is_empty() {
        let (letter, length) = first_letter(rest);
        match letter.map(|letter| (resemblance(letter), letter)) {
            Some((Some(like), _)) => output.extend_from_slice(like),
            Some((None, letter)) if length > letter.len_utf8() => {
                output.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => output.extend_from_slice(&rest[..length]),
        }
        rest = &rest[length..];
    }
    Cow::Owned(output)
}

/// The character that a text begins with and how many bytes write it; no character for a byte that is no UTF-8.
fn first_letter(text: &[u8]) -> (Option<char>, usize) {
    if let [b'%' | b'\\', b'u' | b'U', digits @ ..] = text
        && let Some(digits) = digits.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    {
        let number = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if let Some(letter) = number.and_then(char::from_u32) {
            return (Some(letter), 6);
        }
    }
    let most = &text[..text.len().min(4)];
    let valid = most.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    valid.chars().next().map_or((None, 1), |letter| (Some(letter), letter.len_utf8()))
}

/// Accented letters of Latin-1 and Latin Extended-A by the letter they carry.
const ACCENTED: [(&str, &[u8]); 40] = [
    ("ÀÁÂÃÄÅĀĂĄ", b"A"),
    ("àáâãäåāăą", b"a"),
    ("ÇĆĈĊČ", b"C"),
    ("çćĉċč", b"c"),
    ("ÐĎĐ", b"D"),
    ("ðďđ", b"d"),
    ("ÈÉÊËĒĔĖĘĚ", b"E"),
    ("èéêëēĕėęě", b"e"),
    ("ĜĞĠĢ", b"G"),
    ("ĝğġģ", b"g"),
    ("ĤĦ", b"H"),
    ("ĥħ", b"h"),
    ("ÌÍÎÏĨĪĬĮİ", b"I"),
    ("ìíîïĩīĭįı", b"i"),
    ("ĴĵĶķ", b"k"),
    ("ĹĻĽĿŁ", b"L"),
    ("ĺļľŀł", b"l"),
    ("ÑŃŅŇ", b"N"),
    ("ñńņň", b"n"),
    ("ÒÓÔÕÖØŌŎŐ", b"O"),
    ("òóôõöøōŏő", b"o"),
    ("ŔŖŘ", b"R"),
    ("ŕŗř", b"r"),
    ("ŚŜŞŠ", b"S"),
    ("śŝşšſ", b"s"),
    ("ŢŤŦ", b"T"),
    ("ţťŧ", b"t"),
    ("ÙÚÛÜŨŪŬŮŰŲ", b"U"),
    ("ùúûüũūŭůűų", b"u"),
    ("ÝŸ", b"Y"),
    ("ýÿ", b"y"),
    ("ŹŻŽ", b"Z"),
    ("źżž", b"z"),
    ("\u{2018}\u{2019}\u{201A}\u{201B}\u{2032}\u{02B9}\u{02BC}\u{00B4}", b"'"),
    ("\u{201C}\u{201D}\u{201E}\u{2033}\u{00AB}\u{00BB}", b"\""),
    ("\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2212}", b"-"),
    ("\u{2039}\u{3008}\u{2329}", b"<"),
    ("\u{203A}\u{3009}\u{232A}", b">"),
    ("\u{2215}\u{2044}", b"/"),
    ("\u{00A0}\u{2002}\u{2003}\u{2009}\u{200A}\u{202F}\u{3000}", b" "),
];

/// The ASCII that a character looks like; none for what is ASCII already or looks like none.
fn resemblance(letter: char) -> Option<&'static [u8]> {
    const ASCII: [u8; 128] = {
        let mut all = [0; 128];
        let mut at = 0;
        while at < 128 {
            all[at as usize] = at;
            at += 1;
        }
        all
    };
    match letter {
        '\0'..='\x7f' => ASCII.get(letter as usize..=letter as usize),
        // The full-width forms stand in the order of ASCII. Source: Unicode, block FF00.
        '\u{FF01}'..='\u{FF5E}' => {
            let at = letter as usize - 0xFEE0;
            ASCII.get(at..=at)
        }
        _ => ACCENTED.iter().find(|(letters, _)| letters.contains(letter)).map(|(_, like)| *like),
    }
}
