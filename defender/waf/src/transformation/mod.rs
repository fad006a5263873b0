//! What is done to a value before an operator sees it. Source: ModSecurity reference manual v3, "Transformation functions".

use std::borrow::Cow;

/// One transformation. `t:none` has none: it empties the list when rules are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is named as SecLang names it
pub enum Transformation {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

impl Transformation {
    /// The transformation of this name, spelt in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let _ = name;
        None
    }

    /// The value transformed; borrowed when nothing changed.
    #[must_use]
    pub fn apply<'a>(self, value: &'a [u8]) -> Cow<'a, [u8]> {
        let _ = self;
        Cow::Borrowed(value)
    }
}
