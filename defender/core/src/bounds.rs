//! Bounds of the contract (`contract/*.schema.json`), checked while a message is read.
//!
//! A sidecar passes on what containers say. Were it less strict than the Console, one hostile container could have the
//! whole task's channel closed over and over.
use serde::{Deserialize, Deserializer, de::Error};

use crate::{Audit, Effect};

/// The end of the year 9999: beyond it there is no RFC 3339 form.
const LATEST: u64 = 253_402_300_799_999;
const LARGEST_COUNT: u64 = i64::MAX as u64;
const LONGEST_NAME: usize = 512;
const LONGEST_VERSION: usize = 64;
const LONGEST_REASON: usize = 1024;
const LONGEST_OBSERVED: usize = 1024;
const MOST_REASONS: usize = 32;
const HIGHEST_TIER: u8 = 9;
/// Audits of one message.
pub const MOST_AUDITS: usize = 500;

/// Bytes of one piece of a set of rules.
pub const MOST_RULESET_PART: usize = 256 << 10;
/// Pieces of a set of rules, so that it has 8 MiB at most.
pub const MOST_RULESET_PARTS: u32 = 32;

/// A field that may be null but not missing.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

pub(crate) fn sequence<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(from, 1, LARGEST_COUNT)
}

pub(crate) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(from, 0, LARGEST_COUNT)
}

pub(crate) fn one() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
pub(crate) fn is_one(count: &u64) -> bool {
    *count == 1
}

pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(from, 0, LATEST)
}

pub(crate) fn tier<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    let tier = u8::deserialize(from)?;
    if tier <= HIGHEST_TIER { Ok(tier) } else { Err(Error::custom("a tier is at most 9")) }
}

pub(crate) fn protocol<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(from)?;
    if version == crate::message::PROTOCOL { Ok(version) } else { Err(Error::custom("only protocol 1 is spoken")) }
}

/// The effect of an audit: something was done.
pub(crate) fn audited_effect<'de, D: Deserializer<'de>>(from: D) -> Result<Effect, D::Error> {
    match Effect::deserialize(from)? {
        Effect::Disable => Err(Error::custom("an audit's effect is `alert` or `prevent`")),
        effect => Ok(effect),
    }
}

pub(crate) fn audits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Audit>, D::Error> {
    let audits = Vec::<Audit>::deserialize(from)?;
    if audits.len() <= MOST_AUDITS { Ok(audits) } else { Err(Error::custom("more than 500 audits in one message")) }
}

/// A list of at most `most` things.
pub(crate) fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
    most: usize,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::<T>::deserialize(from)?;
    if list.len() <= most { Ok(list) } else { Err(Error::custom(format_args!("more than {most} in one message"))) }
}

/// What somebody observed: not empty, and as long as paths and names get.
pub(crate) fn observed<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = text(from, LONGEST_OBSERVED)?;
    if text.is_empty() { Err(Error::custom("an observation must not be empty")) } else { Ok(text) }
}

pub(crate) fn observed_detail<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from, LONGEST_OBSERVED)
}

pub(crate) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = text(from, LONGEST_NAME)?;
    if name.is_empty() { Err(Error::custom("a name must not be empty")) } else { Ok(name) }
}

pub(crate) fn instance<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    digits(from, 32)
}

pub(crate) fn token<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    digits(from, 32)
}

pub(crate) fn hash<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    digits(from, 64)
}

pub(crate) fn nullable_hash<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if !is_hex(&text, 64) => Err(Error::custom("a hash is 64 lower-case hexadecimal digits")),
        hash => Ok(hash),
    }
}

pub(crate) fn purpose<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from, LONGEST_NAME)
}

pub(crate) fn parts<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(from, 0, u64::from(MOST_RULESET_PARTS)).map(|number| number as u32)
}

pub(crate) fn ruleset_data<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from, MOST_RULESET_PART.div_ceil(3) * 4)
}

pub(crate) fn version<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from, LONGEST_VERSION)
}

pub(crate) fn reasons<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let reasons = Vec::<String>::deserialize(from)?;
    let fit = reasons.len() <= MOST_REASONS && reasons.iter().all(|reason| characters(reason) <= LONGEST_REASON);
    if fit { Ok(reasons) } else { Err(Error::custom("more than 32 reasons, or one over 1024 characters")) }
}

fn within<'de, D: Deserializer<'de>>(from: D, least: u64, most: u64) -> Result<u64, D::Error> {
    let number = u64::deserialize(from)?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(Error::custom(format_args!("`{number}` is not between {least} and {most}")))
    }
}

fn text<'de, D: Deserializer<'de>>(from: D, most: usize) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if characters(&text) <= most {
        Ok(text)
    } else {
        Err(Error::custom(format_args!("a text has more than {most} characters")))
    }
}

fn digits<'de, D: Deserializer<'de>>(from: D, length: usize) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if is_hex(&text, length) {
        Ok(text)
    } else {
        Err(Error::custom(format_args!("not {length} lower-case hexadecimal digits")))
    }
}

/// True for exactly `length` lower-case hexadecimal digits.
#[must_use]
pub fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn characters(text: &str) -> usize {
    text.chars().count()
}
