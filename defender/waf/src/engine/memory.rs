//! What rules keep for one another while a request is judged: `TX`, `MATCHED_VAR` and their kin.

use std::collections::BTreeMap;

use crate::{
    rule::{Change, Piece, SetVariable, Template},
    value::{Collection, Request, Response, Value},
};

/// A value that matched, as `MATCHED_VARS` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Where it comes from.
    pub collection: Collection,
    /// The value's name within its collection.
    pub name: Vec<u8>,
    /// As rules and logs write it: `ARGS:id`.
    pub label: Vec<u8>,
    /// After the transformations.
    pub value: Vec<u8>,
}

/// The memory of one request's judging.
#[derive(Debug, Default)]
pub(super) struct Memory {
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// All that the rule in hand matched so far, over its chain.
    pub matched: Vec<Matched>,
    /// What the rule in hand added to the anomaly scores.
    pub points: i64,
}

impl Memory {
    /// `TX:name`.
    pub(super) fn kept(&self, name: &[u8]) -> Option<&[u8]> {
        self.kept.get(&name.to_ascii_lowercase()).map(Vec::as_slice)
    }

    /// Forgets what belongs to one rule only: captures and matched values.
    pub(super) fn begin_rule(&mut self) {
        self.matched.clear();
        self.points = 0;
        for group in b'0'..=b'9' {
            self.kept.remove(&[group][..]);
        }
    }

    /// Keeps what an operator captured as `TX:0` to `TX:9`.
    pub(super) fn capture<'v>(&mut self, groups: impl Iterator<Item = &'v [u8]>) {
        for (index, group) in (b'0'..=b'9').zip(groups) {
            self.kept.insert(vec![index], group.to_vec());
        }
    }

    /// Does a `setvar`.
    pub(super) fn set(&mut self, set: &SetVariable, request: &Request, response: &Response) {
        let mut name = self.fill(&set.name, request, response);
        name.make_ascii_lowercase();
        let value = match &set.change {
            Change::Set(value) => self.fill(value, request, response),
            Change::Add(value) => {
                let added = number(&self.fill(value, request, response));
                if is_score(&name) {
                    self.points = self.points.saturating_add(added);
                }
                self.sum(&name, added)
            }
            Change::Subtract(value) => self.sum(&name, -number(&self.fill(value, request, response))),
            Change::Remove => {
                self.kept.remove(&name);
                return;
            }
        };
        self.kept.insert(name, value);
    }

    /// Text with its places filled in; what is not there leaves nothing.
    pub(super) fn fill(&self, template: &Template, request: &Request, response: &Response) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(part) => text.extend_from_slice(part),
                Piece::Variable(collection, name) => self.append(&mut text, *collection, name, request, response),
            }
        }
        text
    }

    /// The values that the memory holds under one of its own collections.
    pub(super) fn of(&self, collection: Collection) -> Vec<Value<'_>> {
        let last = self.matched.last();
        match collection {
            Collection::Tx => {
                self.kept.iter().map(|(name, value)| Value { collection, name, value }).collect::<Vec<_>>()
            }
            Collection::MatchedVar => {
                last.map(|one| Value { collection, name: b"", value: &one.value }).into_iter().collect()
            }
            Collection::MatchedVarName => {
                last.map(|one| Value { collection, name: b"", value: &one.label }).into_iter().collect()
            }
            Collection::MatchedVars => {
                self.matched.iter().map(|one| Value { collection, name: &one.label, value: &one.value }).collect()
            }
            Collection::MatchedVarsNames => {
                self.matched.iter().map(|one| Value { collection, name: &one.label, value: &one.label }).collect()
            }
            _ => Vec::new(),
        }
    }

    fn append(&self, text: &mut Vec<u8>, from: Collection, name: &[u8], request: &Request, response: &Response) {
        let found = if is_kept(from) {
            match (from, self.matched.last()) {
                (Collection::Tx, _) => self.kept(name),
                (Collection::MatchedVar, Some(last)) => Some(&last.value[..]),
                (Collection::MatchedVarName, Some(last)) => Some(&last.label[..]),
                _ => None,
            }
        } else {
            let source = if is_response(from) { response } else { request };
            source
                .of(from)
                .find(|value| name.is_empty() || value.name.eq_ignore_ascii_case(name))
                .map(|value| value.value)
        };
        text.extend_from_slice(found.unwrap_or_default());
    }

    fn sum(&self, name: &[u8], change: i64) -> Vec<u8> {
        let before = self.kept.get(name).map_or(0, |value| number(value));
        before.saturating_add(change).to_string().into_bytes()
    }
}

/// Whether a variable is an anomaly score as rules count it, and not a sum of them. Source: Core Rule Set, every rule's
/// `setvar:'tx.inbound_anomaly_score_pl1=+…'` or `outbound`; `anomaly_score_pl1` in version 3.
fn is_score(name: &[u8]) -> bool {
    [&b"inbound_anomaly_score_pl"[..], b"outbound_anomaly_score_pl", b"anomaly_score_pl"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether the memory holds a collection, not the request.
pub(super) fn is_kept(collection: Collection) -> bool {
    matches!(
        collection,
        Collection::Tx
            | Collection::MatchedVar
            | Collection::MatchedVarName
            | Collection::MatchedVars
            | Collection::MatchedVarsNames
    )
}

/// Whether the response holds a collection, not the request.
pub(super) fn is_response(collection: Collection) -> bool {
    matches!(
        collection,
        Collection::ResponseStatus
            | Collection::ResponseProtocol
            | Collection::ResponseHeaders
            | Collection::ResponseHeadersNames
            | Collection::ResponseContentType
            | Collection::ResponseContentLength
            | Collection::ResponseBody
            | Collection::OutboundDataError
    )
}

/// A number as C's `atoi` reads it: blanks, a sign, digits; anything else counts as 0 (`ModSecurity`'s own reading).
fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    if negative { -value } else { value }
}
