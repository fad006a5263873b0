//! What values look like: their kinds and the names within them, never themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use aho_corasick::AhoCorasick;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{MOST_NAME, MOST_PARAMETERS};
use crate::firewall::api::json::Json;

/// How deep bodies are looked into.
const DEEPEST: usize = 8;
/// How many items of an array are looked at.
const MOST_ITEMS: usize = 16;

/// Kinds of a value, and what is within. Written as a JSON Schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    kinds: BTreeSet<&'static str>,
    members: BTreeMap<String, Shape>,
    items: Option<Box<Shape>>,
}

/// What all shapes together may take.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    /// Names that are kept.
    names: usize,
}

impl Shape {
    /// True when nothing was seen.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Learns a value; tells whether something in it is sensitive.
    pub(super) fn learn(&mut self, value: &Json, budget: &mut Budget) -> bool {
        self.learn_at(value, 0, budget)
    }

    /// Learns a parameter of a query, whose values are texts.
    pub(super) fn learn_text(&mut self, name: &str, value: &[u8], budget: &mut Budget) {
        self.kinds.insert("object");
        if let Some(member) = self.member(name, budget) {
            member.kinds.insert(kind_of(value));
        }
    }

    fn learn_at(&mut self, value: &Json, depth: usize, budget: &mut Budget) -> bool {
        self.kinds.insert(value.kind());
        let mut sensitive = false;
        match value {
            Json::Object(members) if depth < DEEPEST => {
                for (name, value) in members {
                    sensitive |= match value {
                        Json::Text(text) => is_sensitive(name, text.as_bytes()),
                        Json::Integer(number) => is_sensitive(name, number.to_string().as_bytes()),
                        _ => false,
                    };
                    if let Some(member) = self.member(name, budget) {
                        sensitive |= member.learn_at(value, depth + 1, budget);
                    }
                }
            }
            Json::Array(items) if depth < DEEPEST => {
                let shape = self.items.get_or_insert_default();
                for item in items.iter().take(MOST_ITEMS) {
                    sensitive |= shape.learn_at(item, depth + 1, budget);
                }
            }
            _ => {}
        }
        sensitive
    }

    /// Learns what another shape has learnt, which then is gone.
    pub(super) fn merge(&mut self, other: Self, budget: &mut Budget) {
        self.kinds.extend(other.kinds);
        for (name, shape) in other.members {
            budget.names = budget.names.saturating_sub(1);
            match self.member(&name, budget) {
                Some(member) => member.merge(shape, budget),
                None => shape.forget(budget),
            }
        }
        if let Some(items) = other.items {
            self.items.get_or_insert_default().merge(*items, budget);
        }
    }

    fn forget(&self, budget: &mut Budget) {
        budget.names = budget.names.saturating_sub(self.members.len());
        self.members.values().chain(self.items.as_deref()).for_each(|shape| shape.forget(budget));
    }

    /// The shape under a name, made if there is room.
    fn member(&mut self, name: &str, budget: &mut Budget) -> Option<&mut Self> {
        if !self.members.contains_key(name) {
            if budget.names >= MOST_PARAMETERS || name.len() > MOST_NAME {
                return None;
            }
            budget.names += 1;
            self.members.insert(name.to_owned(), Self::default());
        }
        self.members.get_mut(name)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // Whole numbers are numbers: one word is enough.
        let kinds: Vec<_> =
            self.kinds.iter().filter(|kind| **kind != "integer" || !self.kinds.contains("number")).collect();
        match kinds[..] {
            [] => {}
            [kind] => map.serialize_entry("type", kind)?,
            _ => map.serialize_entry("type", &kinds)?,
        }
        if !self.members.is_empty() {
            map.serialize_entry("properties", &self.members)?;
        }
        if let Some(items) = &self.items {
            map.serialize_entry("items", items)?;
        }
        map.end()
    }
}

/// What a text could be read as.
fn kind_of(value: &[u8]) -> &'static str {
    let text = std::str::from_utf8(value).unwrap_or("x");
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text {
        "true" | "false" => "boolean",
        _ if plain && text.parse::<i64>().is_ok() => "integer",
        _ if plain && text.parse::<f64>().is_ok_and(f64::is_finite) => "number",
        _ => "string",
    }
}

/// Whether a value is sensitive, by its name or by being a card's number.
pub(super) fn is_sensitive(name: &str, value: &[u8]) -> bool {
    const NAMES: [&str; 20] = [
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "api-key",
        "ssn",
        "creditcard",
        "credit_card",
        "credit-card",
        "cardnumber",
        "card_number",
        "card-number",
        "cvv",
        "iban",
        "privatekey",
        "private_key",
        "private-key",
    ];
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(&NAMES));
    (!value.is_empty() && WORDS.are_in(name.as_bytes())) || is_card_number(value)
}

/// Words that say something of a name, in any case.
pub(super) struct Words(Option<AhoCorasick>);

impl Words {
    pub(super) fn new(words: &[&str]) -> Self {
        // A few short words are never too many.
        Self(AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok())
    }

    /// Whether a name has one of them in it.
    pub(super) fn are_in(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|words| words.is_match(name))
    }
}

/// Thirteen to nineteen digits, blanks and dashes aside, that begin as cards do and whose check digit is right (ISO/IEC 7812-1).
fn is_card_number(value: &[u8]) -> bool {
    if value.len() > 32 || !value.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-')) {
        return false;
    }
    let digits: Vec<u32> =
        value.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect();
    let doubled = |(at, digit): (usize, &u32)| match (at % 2, digit * 2) {
        (0, _) => *digit,
        (_, double) if double > 9 => double - 9,
        (_, double) => double,
    };
    let sum: u32 = digits.iter().rev().enumerate().map(doubled).sum();
    (13..=19).contains(&digits.len()) && (3..=6).contains(&digits[0]) && sum.is_multiple_of(10)
}
