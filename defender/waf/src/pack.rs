//! Reads a pack of rules, as `scripts/pack_rules.py` writes it: the line `bartizan-rules 1`, then one zlib stream (RFC 1950)
//! of entries: the name's length (u16), the name, the text's length (u32), the text; numbers are big endian.

use std::io::Read;

use flate2::bufread::ZlibDecoder;
use thiserror::Error;

const MAGIC: &[u8] = b"bartizan-rules 1\n";
/// A rule set is less than one megabyte; more than this is a mistake or an attack.
const MOST_BYTES: u64 = 32 << 20;
const MOST_FILES: usize = 4096;

/// A file of a pack: its name and what is in it.
pub type File = (String, Vec<u8>);

/// Why bytes are no pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PackError {
    /// The first line is another.
    #[error("this is no pack of rules, or one of another version")]
    Magic,
    /// What is compressed is damaged or cut off.
    #[error("the pack of rules is damaged or cut off")]
    Damaged,
    /// More bytes or files than a rule set has.
    #[error("the pack of rules is larger than {MOST_BYTES} bytes or {MOST_FILES} files")]
    Large,
    /// A name that names no file: empty, not UTF-8, with a `/`, a control character, or given twice.
    #[error("a file in the pack of rules has a name that means nothing, or the name of another")]
    Name,
}

/// The files of a pack in their order, which is the order in which rules are loaded. No bytes at all are a pack of no files.
///
/// # Errors
/// [`PackError`]; no more than its limits are ever unpacked.
pub fn read(pack: &[u8]) -> Result<Vec<File>, PackError> {
    if pack.is_empty() {
        return Ok(Vec::new());
    }
    let plain = unpacked(pack.strip_prefix(MAGIC).ok_or(PackError::Magic)?)?;
    let mut rest = plain.as_slice();
    let mut files: Vec<File> = Vec::new();
    while !rest.is_empty() {
        if files.len() == MOST_FILES {
            return Err(PackError::Large);
        }
        let length = u16::from_be_bytes(*taken(&mut rest)?);
        let name = name(bytes(&mut rest, usize::from(length))?, &files)?;
        let length = u32::from_be_bytes(*taken(&mut rest)?);
        files.push((name, bytes(&mut rest, length as usize)?.to_vec()));
    }
    Ok(files)
}

fn unpacked(stream: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut decoder = ZlibDecoder::new(stream);
    let mut plain = Vec::new();
    let read = decoder.by_ref().take(MOST_BYTES + 1).read_to_end(&mut plain);
    if plain.len() as u64 > MOST_BYTES {
        return Err(PackError::Large);
    }
    match read {
        Ok(_) if decoder.into_inner().is_empty() => Ok(plain),
        _ => Err(PackError::Damaged),
    }
}

fn taken<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], PackError> {
    let (taken, after) = rest.split_first_chunk().ok_or(PackError::Damaged)?;
    *rest = after;
    Ok(taken)
}

fn bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], PackError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(PackError::Damaged)?;
    *rest = after;
    Ok(taken)
}

fn name(written: &[u8], before: &[File]) -> Result<String, PackError> {
    let name = std::str::from_utf8(written).map_err(|_| PackError::Name)?;
    let means_nothing = name.is_empty() || name.contains(|letter: char| letter == '/' || letter.is_control());
    if means_nothing || before.iter().any(|(taken, _)| taken == name) {
        return Err(PackError::Name);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Write};

    use flate2::{Compression, write::ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn compressed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(MAGIC.to_vec(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn packed(files: &[File]) -> Vec<u8> {
        let mut plain = Vec::new();
        for (name, text) in files {
            plain.extend_from_slice(&(name.len() as u16).to_be_bytes());
            plain.extend_from_slice(name.as_bytes());
            plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
            plain.extend_from_slice(text);
        }
        compressed(&plain)
    }

    fn some_files() -> impl Strategy<Value = Vec<File>> {
        proptest::collection::btree_map("[A-Za-z0-9.é-]{1,20}", proptest::collection::vec(any::<u8>(), 0..200), 0..8)
            .prop_map(|files: BTreeMap<_, _>| files.into_iter().collect())
    }

    proptest! {
        /// What was packed comes out, in its order.
        #[test]
        fn what_was_packed_comes_out(files in some_files()) {
            prop_assert_eq!(read(&packed(&files)), Ok(files));
        }

        /// Any bytes are read or refused, after the magic line as well as inside the compression.
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[MAGIC, &bytes].concat());
            let _ = read(&compressed(&bytes));
        }

        /// A pack that is cut off or followed by more is refused.
        #[test]
        fn a_part_is_not_a_pack(files in some_files(), cut in any::<prop::sample::Index>()) {
            let whole = packed(&files);
            let part = &whole[..=cut.index(whole.len() - 1)];
            prop_assert!(part.len() == whole.len() || read(part).is_err());
            prop_assert_eq!(read(&[whole, vec![0]].concat()), Err(PackError::Damaged));
        }
    }

    #[test]
    /// Nothing at all is a pack of nothing.
    fn nothing_is_an_empty_pack() {
        assert_eq!(read(b""), Ok(Vec::new()));
        assert_eq!(read(&packed(&[])), Ok(Vec::new()));
    }

    #[test]
    /// A pack that unpacks to more than the limit is refused without being unpacked whole.
    fn a_bomb_is_refused() {
        assert_eq!(read(&compressed(&vec![0; MOST_BYTES as usize + 1])), Err(PackError::Large));
        let files: Vec<File> = (0..=MOST_FILES).map(|number| (number.to_string(), Vec::new())).collect();
        assert_eq!(read(&packed(&files)), Err(PackError::Large));
    }

    #[test]
    /// Names that could be paths, or stand for two files, are refused.
    fn names_name_one_file_each() {
        for name in ["", "../x.conf", "a/b", "a\nb"] {
            assert_eq!(read(&packed(&[(name.into(), Vec::new())])), Err(PackError::Name), "{name:?}");
        }
        assert_eq!(read(&packed(&[("a".into(), vec![1]), ("a".into(), vec![2])])), Err(PackError::Name));
    }
}
