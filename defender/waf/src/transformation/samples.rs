//! What single transformations make of telling values. The cases follow the manual and the behaviour of libmodsecurity 3.

use super::{Transformation as T, UnicodeMap};

fn check(transformation: T, cases: &[(&[u8], &[u8])]) {
    for (value, expected) in cases {
        let output = transformation.apply(value);
        assert_eq!(
            output.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{transformation:?} of `{}`",
            value.escape_ascii()
        );
    }
}

/// `%uHHHH` gives low bytes, full-width forms ASCII, and what is cut short stays.
#[test]
fn url_decode_uni() {
    check(
        T::UrlDecodeUni,
        &[
            (b"+%00%ff", b" \x00\xff"),
            (b"%u0041%U1142%uff1c%uFF5E%uff00%uff5f", b"AB<~\x00\x5f"),
            (b"%%20%0g%20%u00%u0020%u000g%0", b"% %0g %u00 %u000g%0"),
            (b"%u%u0027", b"%u'"),
        ],
    );
    check(T::UrlDecode, &[(b"a%u0041+%41", b"a%u0041 A")]);
}

/// A unicode map comes first; what it does not know falls back to the low byte.
#[test]
fn url_decode_uni_with_a_map() {
    let text = "1250 (ANSI)\n2019:41\n\n20127 (US-ASCII)\n2019:27 00ab:3c\n201c:22\n\n20261 (T.61)\n2019:42\n";
    let map = UnicodeMap::parse(text, 20127).unwrap();
    let output = T::UrlDecodeUni.apply_with(b"%u2019%u00AB%u201c%u2041%uff1e", Some(&map));
    assert_eq!(&output[..], b"'<\"A>");
    assert!(UnicodeMap::parse(text, 437).unwrap_err().contains("437"));
    assert!(UnicodeMap::parse("20127\n2019-27", 20127).unwrap_err().contains("2019-27"));
}

/// Escapes of JavaScript: `\u`, `\x`, octal up to 377, letters.
#[test]
fn js_decode() {
    check(
        T::JsDecode,
        &[
            (b"\\u0041\\uff1c\\x3c\\101\\377\\400\\8", b"A<<A\xff\x20\x308"),
            (b"\\a\\b\\f\\n\\r\\t\\v\\?\\'\\\"\\\\", b"\x07\x08\x0c\n\r\t\x0b?'\"\\"),
            (b"\\u004\\x4g\\X41\\", b"u004x4gX41\\"),
        ],
    );
}

/// Escapes of CSS: up to six digits, one blank goes with them, an escaped line feed vanishes.
#[test]
fn css_decode() {
    check(
        T::CssDecode,
        &[
            (b"\\3c script\\3E\t\\0003c  x", b"<script>< x"),
            (b"\\ff1c\\0ff1c\\00ff1c\\10ff1c\\1ff1c", b"<<<\x1c\x1c"),
            (b"\\a\\1234567\\z\\\nx\\", b"\x0aV7zx"),
            (b"ja\\vasc\\ript", b"javascript"),
        ],
    );
}

/// Escapes of ANSI C; what is none loses its backslash.
#[test]
fn escape_seq_decode() {
    check(
        T::EscapeSeqDecode,
        &[
            (b"\\a\\b\\f\\n\\r\\t\\v\\?\\'\\\"\\0\\12\\123\\x00\\xff", b"\x07\x08\x0c\n\r\t\x0b?'\"\x00\nS\x00\xff"),
            (b"\\8\\9\\666\\xag\\xga\\0123", b"89\xb6xagxga\n3"),
            (b"\\x\\x0", b"xx0"),
            (b"\\", b"\\"),
        ],
    );
}

/// Numeric entities with and without semicolon, five names, all else as it was.
#[test]
fn html_entity_decode() {
    check(
        T::HtmlEntityDecode,
        &[
            (b"&#60;&#60&#x3c;&#X3C&lt;&LT&quot;&amp;lt;&gt&nbsp;", b"<<<<<<\"&lt;>\xa0"),
            (b"&#;&#x;&#xg&foo;&apos;& &", b"&#;&#x;&#xg&foo;&apos;& &"),
            (b"&#316;&#x13c;&#99999999999999999999;&ltx", b"<<\xff&ltx"),
        ],
    );
}

/// UTF-8 in the notation of IIS, with the oddities of libmodsecurity.
#[test]
fn utf8_to_unicode() {
    check(
        T::Utf8ToUnicode,
        &[
            ("a\u{e9}\u{20ac}\u{1f600}".as_bytes(), b"a%u00e9%u20ac%u1f600"),
            (b"\xc0\xa7\xed\xa0\x80", b"%u0027\xc0%ud800\xed"),
            (b"a\x00b\xc2c\x80\xff\xe2\x82", b"abc\x80\xff\x82"),
            (b"\xf5\x80\x80\x80", b"\xf5%u140000"),
        ],
    );
}

/// Command lines are read as a shell reads them.
#[test]
fn cmd_line() {
    check(
        T::CmdLine,
        &[
            (b"C:\\\\WinNT\\sys^tem32\\CMD.EXE /C", b"c:winntsystem32cmd.exe/c"),
            (b"wget\t,;  'http'://x (y", b"wget http://x(y"),
            (b" /bin/cat", b"/bin/cat"),
        ],
    );
}

/// Comments are replaced, removed with what they hold, or lose their marks only.
#[test]
fn comments() {
    check(
        T::ReplaceComments,
        &[(b"a/*b*/c", b"a c"), (b"a/*b", b"a "), (b"a*/b", b"a*/b"), (b"/*/ */", b" "), (b"/**//**/", b"  ")],
    );
    check(
        T::RemoveComments,
        &[
            (b"Before/* x */After", b"BeforeAfter"),
            (b"Before /* x", b"Before  "),
            (b"SELECT/**//**/UNION", b"SELECTUNION"),
            (b"foo<!-- 1 --><!-- 2 -->bar", b"foobar"),
            (b"a -- b", b"a "),
            (b"a # b", b"a "),
            (b"a */ b", b"a */ b"),
        ],
    );
    check(T::RemoveCommentsChar, &[(b"/*a*/<!--b-->--#c//**", b"abc/*"), (b"a*b/c", b"a*b/c")]);
}

/// Base 64 ends at the first bad byte; the lenient kind goes over it.
#[test]
fn base64() {
    check(
        T::Base64Decode,
        &[
            (b"VGVzdENhc2U=", b"TestCase"),
            (b"VGVzdENhc2UxMg", b"TestCase12"),
            (b"VGVz\r\ndENhc2U=\x00VGVz", b"TestCase"),
            (b"VGVz!dENh", b"Tes"),
        ],
    );
    check(T::Base64DecodeExt, &[(b"VGV z.dE!Nhc2U=", b"TestCase"), (b"-_-_", b"\xfb\xff\xbf"), (b"VGVzd=x", b"")]);
    check(T::Base64Encode, &[(b"TestCase", b"VGVzdENhc2U="), (b"", b""), (b"ab", b"YWI=")]);
}

/// Hexadecimal forms, and the digests of RFC 1321 and RFC 3174.
#[test]
fn hexadecimal_and_digests() {
    check(T::HexDecode, &[(b"54657374436173650", b"TestCase"), (b"0A0a", b"\n\n")]);
    check(T::HexEncode, &[(b"Test\xff", b"54657374ff")]);
    check(
        T::SqlHexDecode,
        &[
            (b"00x414243", b"0ABC"),
            (b"0xz0x414243", b"0xzABC"),
            (b"0x4142430x0x434241", b"ABC0xCBA"),
            (b"0X4a4", b"J4"),
        ],
    );
    let hex = |transformation: T, value: &[u8]| T::HexEncode.apply(&transformation.apply(value)).to_vec();
    assert_eq!(hex(T::Md5, b"abc"), b"900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(hex(T::Sha1, b"abc"), b"a9993e364706816aba3e25717850c26c9cd0d89d");
    check(T::Length, &[(b"", b"0"), (b"0123456789", b"10")]);
}

/// Paths lose their detours; relative ones keep what leads above their start.
#[test]
fn normalize_path() {
    check(
        T::NormalizePath,
        &[
            (b"/foo/bar/baz", b"/foo/bar/baz"),
            (b".", b""),
            (b"./", b""),
            (b"./..", b".."),
            (b"../.", b".."),
            (b"../../", b"../../"),
            (b"/dir/foo//bar", b"/dir/foo/bar"),
            (b"dir/../../foo", b"../foo"),
            (b"dir/./.././../../foo/bar/../", b"../../foo/"),
            (b"dir/subdir/subsubdir/../..", b"dir"),
            (b"/./.././../../../../../../..//0/../etc/./passwd", b"/etc/passwd"),
            (b"/..", b""),
            (b"/../", b"/"),
            (b"\\dir\\x", b"\\dir\\x"),
        ],
    );
    check(
        T::NormalizePathWin,
        &[(b"\\foo\\bar\x00\\baz", b"/foo/bar\x00/baz"), (b"dir\\\\.\\\\..\\\\x\\", b"x/"), (b"a\\\\\\b", b"a/b")],
    );
}
