//! Files in multipart bodies, by what they begin with and by their names' endings (`maliciousUpload`).

use super::{Effect, PolicyError, reading::At};

/// Bytes of a file that are looked at.
const LOOKED_AT: usize = 4096;

/// Which files may be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Uploads {
    /// What follows from others.
    pub effect: Effect,
    types: Vec<Type>,
    /// Endings for files of no type that is known.
    endings: Vec<String>,
}

/// A file of a multipart body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'b> {
    /// Its name, as the client gave it.
    pub name: &'b [u8],
    /// What it begins with.
    pub beginning: &'b [u8],
}

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Portable Document Format.
    Pdf,
    /// Office before 2007: compound files.
    OfficeLegacy,
    /// Office since 2007: Office Open XML.
    OfficeOoxml,
    /// Open Document.
    Odf,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// Bitmap.
    Bmp,
    /// Icon.
    Ico,
    /// AVI.
    Avi,
    /// MPEG-4.
    Mp4,
    /// AAC.
    Aac,
    /// MP3.
    Mp3,
    /// WAV.
    Wav,
    /// ZIP.
    Zip,
    /// gzip.
    Gzip,
    /// RAR.
    Rar,
    /// 7-Zip.
    SevenZip,
    /// A program: of Windows, Linux, macOS, Java, or for an interpreter. Never allowed by its ending.
    Program,
}

/// The vendor's names.
const NAMES: [(&str, &[Type]); 19] = [
    ("pdf", &[Type::Pdf]),
    ("officeLegacy", &[Type::OfficeLegacy]),
    ("officeOoxml", &[Type::OfficeOoxml]),
    ("office", &[Type::OfficeLegacy, Type::OfficeOoxml]),
    ("odf", &[Type::Odf]),
    ("jpeg", &[Type::Jpeg]),
    ("png", &[Type::Png]),
    ("gif", &[Type::Gif]),
    ("bmp", &[Type::Bmp]),
    ("ico", &[Type::Ico]),
    ("avi", &[Type::Avi]),
    ("mp4", &[Type::Mp4]),
    ("aac", &[Type::Aac]),
    ("mp3", &[Type::Mp3]),
    ("wav", &[Type::Wav]),
    ("zip", &[Type::Zip]),
    ("gzip", &[Type::Gzip]),
    ("rar", &[Type::Rar]),
    ("7zip", &[Type::SevenZip]),
];

/// What files begin with, the longer before the shorter. Source: G. Kessler's table of file signatures.
const BEGINNINGS: [(&[u8], Type); 31] = [
    (b"%PDF-", Type::Pdf),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Type::OfficeLegacy),
    (b"\xff\xd8\xff", Type::Jpeg),
    (b"\x89PNG\r\n\x1a\n", Type::Png),
    (b"GIF87a", Type::Gif),
    (b"GIF89a", Type::Gif),
    (b"\x00\x00\x01\x00", Type::Ico),
    (b"ID3", Type::Mp3),
    (b"\xff\xfb", Type::Mp3),
    (b"\xff\xf3", Type::Mp3),
    (b"\xff\xf2", Type::Mp3),
    (b"\xff\xf1", Type::Aac),
    (b"\xff\xf9", Type::Aac),
    (b"ADIF", Type::Aac),
    (b"PK\x05\x06", Type::Zip),
    (b"PK\x07\x08", Type::Zip),
    (b"\x1f\x8b", Type::Gzip),
    (b"Rar!\x1a\x07", Type::Rar),
    (b"7z\xbc\xaf\x27\x1c", Type::SevenZip),
    (b"MZ", Type::Program),
    (b"\x7fELF", Type::Program),
    (b"\xca\xfe\xba\xbe", Type::Program),
    (b"\xfe\xed\xfa\xce", Type::Program),
    (b"\xfe\xed\xfa\xcf", Type::Program),
    (b"\xce\xfa\xed\xfe", Type::Program),
    (b"\xcf\xfa\xed\xfe", Type::Program),
    (b"#!", Type::Program),
    (b"<?php", Type::Program),
    (b"<?=", Type::Program),
    (b"<%", Type::Program),
    (b"\0asm", Type::Program),
];

impl Uploads {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let types = at.field("allowedFileTypes")?.list(|item| item.choice(&NAMES, &[][..]))?;
        let endings = at.field("allowedExtensions")?.texts()?;
        Ok(Self {
            effect: at.field("effect")?.effect()?,
            types: types.concat(),
            endings: endings.iter().map(|ending| ending.trim_start_matches('.').to_ascii_lowercase()).collect(),
        })
    }

    /// Whether a file may be sent: its type is allowed, or its beginning tells of no type and its name's ending is allowed.
    #[must_use]
    pub fn allow(&self, file: &File<'_>) -> bool {
        if let Some(known) = type_of(file.beginning) {
            return self.types.contains(&known);
        }
        let name = String::from_utf8_lossy(file.name).to_ascii_lowercase();
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.trim_end());
        ending.is_some_and(|ending| self.endings.iter().any(|allowed| allowed == ending))
    }
}

/// What a file is, if its first bytes tell.
#[must_use]
pub fn type_of(beginning: &[u8]) -> Option<Type> {
    if let Some(container) = container(beginning) {
        return Some(container);
    }
    let known = BEGINNINGS.iter().find(|(bytes, _)| beginning.starts_with(bytes)).map(|(_, kind)| *kind);
    // Interpreters pass over blanks, and over a byte order mark.
    let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
    known.or_else(|| [&b"<?php"[..], b"#!", b"<%"].iter().any(|code| text.starts_with(code)).then_some(Type::Program))
}

/// Types that only bytes further on tell.
fn container(beginning: &[u8]) -> Option<Type> {
    let contains = |part: &[u8]| memchr::memmem::find(beginning, part).is_some();
    match beginning {
        [b'P', b'K', 3, 4, ..] => Some(match () {
            () if contains(b"mimetypeapplication/vnd.oasis.opendocument") => Type::Odf,
            () if contains(b"[Content_Types].xml") || contains(b"_rels/.rels") => Type::OfficeOoxml,
            () => Type::Zip,
        }),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Some(Type::Avi),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Type::Wav),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Type::Mp4),
        // The size of the file and four bytes that are zero.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Type::Bmp),
        _ => None,
    }
}

/// The files of a multipart body. Source: RFC 7578; parts are cut as leniently as any application might.
#[must_use]
pub fn files<'b>(content_type: &[u8], body: &'b [u8]) -> Vec<File<'b>> {
    let Some(boundary) = boundary(content_type) else { return Vec::new() };
    let delimiter = [b"--", &boundary[..]].concat();
    let starts: Vec<usize> = memchr::memmem::find_iter(body, &delimiter).map(|at| at + delimiter.len()).collect();
    let ends = starts.iter().skip(1).map(|next| next - delimiter.len()).chain([body.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| file(&body[*start..end.max(*start)])).collect()
}

fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let lower = content_type.to_ascii_lowercase();
    if !lower.trim_ascii_start().starts_with(b"multipart/") {
        return None;
    }
    let at = memchr::memmem::find(&lower, b"boundary=")? + b"boundary=".len();
    let rest = &content_type[at..];
    let boundary = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
        None => rest.split(|byte| *byte == b';' || *byte == b' ').next()?,
    };
    (!boundary.is_empty()).then(|| boundary.to_vec())
}

/// A part, if it is a file: one with a file name, or one that says what it is and is no text.
fn file(part: &[u8]) -> Option<File<'_>> {
    let blank = [&b"\r\n\r\n"[..], b"\n\n"];
    let (end, line) = blank.iter().find_map(|line| memchr::memmem::find(part, line).map(|end| (end, line.len())))?;
    let (head, content) = (&part[..end], &part[end + line..]);
    let lower = head.to_ascii_lowercase();
    let mark = memchr::memmem::find(&lower, b"filename")?;
    let value = &head[mark + b"filename".len()..];
    let equals = memchr::memchr(b'=', value)?;
    let value = value[equals + 1..].trim_ascii_start();
    let name = match value.first() {
        Some(quote @ (b'"' | b'\'')) => value[1..].split(|byte| byte == quote).next(),
        _ => value.split(|byte| b";\r\n".contains(byte)).next(),
    };
    let content = content.strip_suffix(b"\r\n").unwrap_or(content);
    let name = name.unwrap_or_default();
    // A form's file field that was left empty.
    let is_left_empty = name.is_empty() && content.is_empty();
    (!is_left_empty).then(|| File { name, beginning: &content[..content.len().min(LOOKED_AT)] })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn uploads() -> Uploads {
        let value =
            json!({"effect": "prevent", "allowedFileTypes": ["pdf", "png", "office"], "allowedExtensions": [".txt"]});
        Uploads::read(&At::root(&value)).unwrap()
    }

    fn allows(name: &str, beginning: &[u8]) -> bool {
        uploads().allow(&File { name: name.as_bytes(), beginning })
    }

    /// A file is what its first bytes say, whatever its name; only a file of no type has the type of its name.
    #[test]
    fn files_are_what_they_begin_with() {
        assert!(allows("a.bin", b"%PDF-1.7") && allows("a.docx", b"PK\x03\x04....[Content_Types].xml"));
        assert!(allows("note.TXT", b"hello") && !allows("note.md", b"hello") && !allows("note", b"hello"));
        assert!(!allows("a.pdf", b"PK\x03\x04 plain zip") && !allows("a.gif", b"GIF89a"));
    }

    /// A program stays one under an allowed ending.
    #[test]
    fn programs_are_known_under_any_name() {
        for program in [&b"MZ\x90"[..], b"\x7fELF\x02", b"#!/bin/sh", b"<?php system(1);", b"\xef\xbb\xbf\n <?php"] {
            assert!(!allows("note.txt", program), "{program:?}");
        }
    }

    /// Files are found in a multipart body however it is written; fields are no files.
    #[test]
    fn files_are_found() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ntext\r\n--B\r\nContent-Disposition: form-data; \
            name=f; FileName=\"x.txt\"\r\n\r\nMZ\r\n--B\nContent-Disposition: form-data; filename*=UTF-8''y.txt\n\n#!\n--B--\r\n";
        let found = files(b"multipart/form-data; boundary=\"B\"", body);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], File { name: b"x.txt", beginning: b"MZ" });
        assert!(found.iter().all(|file| !uploads().allow(file)));
        assert!(files(b"text/plain", body).is_empty());
        let empty = b"--B\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n--B--";
        assert!(files(b"multipart/form-data; boundary=B", empty).is_empty());
    }

    /// A type that nobody knows is refused with its place.
    #[test]
    fn unknown_types_are_refused() {
        let error = Uploads::read(&At::root(&json!({"allowedFileTypes": ["pdf", "exe"]}))).unwrap_err();
        assert!(error.to_string().starts_with("`allowedFileTypes[1]` is `exe`, which is none of"));
    }

    proptest! {
        /// No body panics, and no file is larger than what is looked at.
        #[test]
        fn any_body_is_read(body in r#"(--B|\r\n|\n|filename=|"|a|;){0,24}"#) {
            for file in files(b"multipart/form-data; boundary=B", body.as_bytes()) {
                prop_assert!(file.beginning.len() <= LOOKED_AT);
                let _ = type_of(file.beginning);
            }
        }
    }
}
