//! Sets of rules as the Console hands them out: pieces put together, checked, and read as files.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use defender_core::message::{MOST_RULESET_PART, MOST_RULESET_PARTS, RulesetPart};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use thiserror::Error;

use crate::{link::tls::hex, rules};

/// Why pieces are no set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// A piece is missing, or is of another set.
    #[error("its pieces do not come one after the other")]
    Order,
    /// A piece is not base64, or larger than agreed.
    #[error("one of its pieces is damaged")]
    Piece,
    /// The bytes are not those that the hash names.
    #[error("its bytes are not those that its hash names")]
    Hash,
    /// The bytes are no set of rules.
    #[error("it is no set of rules: {0}")]
    Form(String),
}

/// What has come of a set so far. No more than one set's worth of bytes is held.
#[derive(Debug, Default)]
pub struct Delivery {
    hash: String,
    parts: u32,
    next: u32,
    bytes: Vec<u8>,
}

/// What a piece made whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered {
    /// More pieces are to come.
    Nothing,
    /// The rules that come with the Defender are to be used again.
    BuiltIn,
    /// A whole set of this hash, or why it is none.
    Set(String, Result<Vec<u8>, DeliveryError>),
}

impl Delivery {
    /// Takes the next piece. After a mistake nothing of the set is kept: it begins again with its first piece.
    pub fn take(&mut self, part: RulesetPart) -> Delivered {
        let Some(hash) = part.hash else {
            *self = Self::default();
            return Delivered::BuiltIn;
        };
        if part.part == 0 {
            *self = Self { hash: hash.clone(), parts: part.parts, ..Self::default() };
        }
        let fits = part.parts <= MOST_RULESET_PARTS && part.part < part.parts;
        if !fits || (self.hash.as_str(), self.parts, self.next) != (hash.as_str(), part.parts, part.part) {
            *self = Self::default();
            return Delivered::Set(hash, Err(DeliveryError::Order));
        }
        match STANDARD.decode(part.data) {
            Ok(bytes) if bytes.len() <= MOST_RULESET_PART => self.bytes.extend(bytes),
            _ => {
                *self = Self::default();
                return Delivered::Set(hash, Err(DeliveryError::Piece));
            }
        }
        self.next += 1;
        if self.next < self.parts {
            return Delivered::Nothing;
        }
        let bytes = std::mem::take(self).bytes;
        let whole = if hash_of(&bytes) == hash { Ok(bytes) } else { Err(DeliveryError::Hash) };
        Delivered::Set(hash, whole)
    }
}

fn hash_of(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// A set of rules as files: settings first, then the others by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Hex SHA-256 of the bytes that it came as.
    pub hash: String,
    /// What its makers call it.
    pub version: String,
    /// Names and texts.
    pub files: Vec<(String, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Document {
    files: BTreeMap<String, String>,
    version: String,
}

impl Set {
    /// Reads the JSON `{"files":{name:text},"version":…}`.
    ///
    /// # Errors
    /// [`DeliveryError::Form`]: it is something else, or there are no rules in it.
    pub fn read(hash: &str, bytes: &[u8]) -> Result<Self, DeliveryError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| DeliveryError::Form(error.to_string()))?;
        let files = document.files.into_iter().filter(|(name, _)| rules::is_rules(name) || rules::is_data(name));
        let mut files: Vec<_> = files.map(|(name, text)| (name, text.into_bytes())).collect();
        files.sort_by_key(|(name, _)| (!name.contains("setup"), name.clone()));
        if !files.iter().any(|(name, _)| rules::is_rules(name)) {
            return Err(DeliveryError::Form("there are no files of rules in it".to_owned()));
        }
        let version = document.version.chars().take(128).collect();
        Ok(Self { hash: hash.to_owned(), version, files })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(bytes: &[u8], size: usize) -> Vec<RulesetPart> {
        let parts = bytes.len().div_ceil(size).max(1);
        let made = (0..parts).map(|part| {
            let data = STANDARD.encode(&bytes[part * size..bytes.len().min((part + 1) * size)]);
            RulesetPart { hash: Some(hash_of(bytes)), part: part as u32, parts: parts as u32, data }
        });
        made.collect()
    }

    proptest! {
        /// Pieces in order give the bytes that were cut, whatever came before.
        #[test]
        fn pieces_come_together(before in 0..3usize, bytes in proptest::collection::vec(any::<u8>(), 0..64), size in 2..9usize) {
            let mut delivery = Delivery::default();
            for piece in pieces(b"something else", 5).into_iter().take(before) {
                delivery.take(piece);
            }
            let pieces = pieces(&bytes, size);
            let last = pieces.len() - 1;
            for (number, piece) in pieces.into_iter().enumerate() {
                let whole = Delivered::Set(hash_of(&bytes), Ok(bytes.clone()));
                prop_assert_eq!(delivery.take(piece), if number == last { whole } else { Delivered::Nothing });
            }
        }

        /// Whatever pieces come, nothing is held beyond what was agreed, and only what its hash names is given out.
        #[test]
        fn nothing_else_comes_out(
            given in proptest::collection::vec((0..3u8, 0..5u32, 0..40u32, "[A-Za-z0-9=]{0,16}"), 0..24),
        ) {
            let mut delivery = Delivery::default();
            for (hash, part, parts, data) in given {
                let hash = [Some("a".repeat(64)), Some("b".repeat(64)), None][usize::from(hash)].clone();
                if let Delivered::Set(named, Ok(bytes)) = delivery.take(RulesetPart { hash, part, parts, data }) {
                    prop_assert_eq!(hash_of(&bytes), named);
                }
                prop_assert!(delivery.bytes.len() <= 24 * 16);
            }
        }
    }

    #[test]
    /// A piece that is missing, damaged, too large, or of other bytes ends the delivery with its reason.
    fn a_bad_delivery_is_refused() {
        let good = pieces(b"0123456789", 4);
        let outcome = |given: &[RulesetPart]| {
            let mut delivery = Delivery::default();
            given.iter().cloned().map(|piece| delivery.take(piece)).last().unwrap()
        };
        let refused = |error| Delivered::Set(hash_of(b"0123456789"), Err(error));
        assert_eq!(outcome(&[good[0].clone(), good[2].clone()]), refused(DeliveryError::Order));
        assert_eq!(outcome(&[good[1].clone()]), refused(DeliveryError::Order));
        let beyond = RulesetPart { part: 3, ..good[2].clone() };
        assert_eq!(outcome(&[good.clone(), vec![beyond]].concat()), refused(DeliveryError::Order));
        let damaged = RulesetPart { data: "%%%%".into(), ..good[0].clone() };
        assert_eq!(outcome(&[damaged]), refused(DeliveryError::Piece));
        let large = RulesetPart { data: STANDARD.encode(vec![0; MOST_RULESET_PART + 1]), ..good[0].clone() };
        assert_eq!(outcome(&[large]), refused(DeliveryError::Piece));
        let other = RulesetPart { data: STANDARD.encode("00"), ..good[2].clone() };
        assert_eq!(outcome(&[good[0].clone(), good[1].clone(), other]), refused(DeliveryError::Hash));
        let none = RulesetPart { hash: None, part: 0, parts: 0, data: String::new() };
        assert_eq!(outcome(&[good[0].clone(), none]), Delivered::BuiltIn);
    }

    #[test]
    /// Settings come first, what is no rule is left out, and other documents are refused with what is wrong.
    fn a_set_is_read() {
        let text = br#"{"files":{"a.conf":"1","w.data":"2","crs-setup.conf":"3","LICENSE":"4"},"version":"4.25.0"}"#;
        let set = Set::read("h", text).unwrap();
        let names: Vec<_> = set.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, set.version.as_str()), (vec!["crs-setup.conf", "a.conf", "w.data"], "4.25.0"));
        for bad in [&b"{"[..], b"{}", br#"{"files":{"LICENSE":""},"version":"1"}"#, b"\xff"] {
            assert!(matches!(Set::read("h", bad), Err(DeliveryError::Form(_))));
        }
    }
}
