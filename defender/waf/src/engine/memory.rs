//! What rules keep for one another while a request is judged: `TX`, `MATCHED_VAR` and their kin.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::names::{Names, is_capture};
use crate::{
    operator::number,
    rule::{Change, Comparison, Number, Piece, SetVariable, Template},
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

impl Matched {
    /// Bytes of memory that it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.label.len() + self.value.len()
    }
}

/// The memory of one request's judging.
#[derive(Debug, Clone)]
pub(super) struct Memory<'r> {
    names: &'r Names,
    /// What names held before the first rule, by the name's number.
    before: &'r [Kept],
    /// By number of the name.
    kept: Vec<Kept>,
    /// Under names that no rule spells out.
    others: BTreeMap<Vec<u8>, Kept>,
    captures: [Option<Vec<u8>>; 10],
    has_captures: bool,
    /// All that the rule in hand matched so far, over its chain.
    pub matched: Vec<Matched>,
    /// What the rule in hand added to the anomaly scores.
    pub points: i64,
}

/// What a name holds.
#[derive(Debug, Clone, Default)]
pub(super) enum Kept {
    /// What it held before the first rule.
    #[default]
    Before,
    Nothing,
    /// A text that stands in a rule.
    Constant(Arc<[u8]>, i64),
    Text(Vec<u8>),
    Number(Written),
}

/// A number, written out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    number: i64,
    text: [u8; 20],
    start: u8,
}

impl Written {
    pub(super) fn new(number: i64) -> Self {
        let (mut text, mut start, mut rest) = ([0; 20], 20, number.unsigned_abs());
        loop {
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            text[start] = b'-';
        }
        Self { number, text, start: start as u8 }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text[usize::from(self.start)..]
    }
}

impl Kept {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Before | Self::Nothing => None,
            Self::Constant(text, _) => Some(text),
            Self::Text(text) => Some(text),
            Self::Number(written) => Some(written.text()),
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(written) => Some(written.number),
            Self::Constant(_, number) => Some(*number),
            other => other.text().map(number),
        }
    }
}

impl<'r> Memory<'r> {
    /// A memory that holds what its names held before; nothing, if that is nothing.
    pub(super) fn new(names: &'r Names, before: &'r [Kept]) -> Self {
        Self {
            names,
            before,
            kept: vec![Kept::Before; names.len()],
            others: BTreeMap::new(),
            captures: Default::default(),
            has_captures: false,
            matched: Vec::new(),
            points: 0,
        }
    }

    /// `TX:name`.
    pub(super) fn kept(&self, name: &[u8]) -> Option<&[u8]> {
        if is_capture(name) {
            return self.captures[usize::from(name[0] - b'0')].as_deref();
        }
        let name = name.to_ascii_lowercase();
        match self.names.slot(&name) {
            Some(slot) => self.slot(slot),
            None => self.others.get(&name).and_then(Kept::text),
        }
    }

    /// `TX`, by the number of a name.
    pub(super) fn slot(&self, slot: u16) -> Option<&[u8]> {
        self.at(usize::from(slot)).text()
    }

    /// Whether nothing is kept under a name that no rule spells out.
    pub(super) fn has_no_others(&self) -> bool {
        self.others.is_empty()
    }

    /// The names with this beginning that no rule spells out.
    pub(super) fn others(&self, prefix: &[u8]) -> impl Iterator<Item = &[u8]> {
        let from = self.others.range::<[u8], _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.map(|(name, _)| &name[..]).take_while(move |name| name.starts_with(prefix))
    }

    fn at(&self, slot: usize) -> &Kept {
        match &self.kept[slot] {
            Kept::Before => self.before.get(slot).unwrap_or(&Kept::Nothing),
            kept => kept,
        }
    }

    /// What all names hold, by their numbers.
    pub(super) fn all(&self) -> Vec<Kept> {
        (0..self.kept.len()).map(|slot| self.at(slot).clone()).collect()
    }

    /// The name of a number.
    pub(super) fn name(&self, slot: u16) -> &'r [u8] {
        self.names.name(usize::from(slot))
    }

    /// Whether a comparison holds now.
    pub(super) fn holds(&self, comparison: Comparison) -> bool {
        let kept = self.at(usize::from(comparison.slot));
        let one = if comparison.counted { Some(i64::from(kept.text().is_some())) } else { kept.number() };
        let two = match comparison.with {
            Number::Constant(number) => number,
            // A place with nothing to fill in is an empty text, which counts as 0.
            Number::Slot(slot) => self.at(usize::from(slot)).number().unwrap_or(0),
        };
        one.is_some_and(|one| {
            comparison.holds[match one.cmp(&two) {
                Ordering::Less => 0,
                Ordering::Equal => 1,
                Ordering::Greater => 2,
            }]
        })
    }

    /// Forgets what belongs to one rule only: captures and matched values.
    pub(super) fn begin_rule(&mut self) {
        self.matched.clear();
        self.points = 0;
        if self.has_captures {
            self.captures = Default::default();
            self.has_captures = false;
        }
    }

    /// Keeps what an operator captured as `TX:0` to `TX:9`.
    pub(super) fn capture(&mut self, groups: Vec<Vec<u8>>) {
        self.has_captures |= !groups.is_empty();
        for (place, group) in self.captures.iter_mut().zip(groups) {
            *place = Some(group);
        }
    }

    /// Does a `setvar`.
    pub(super) fn set(&mut self, set: &SetVariable, request: &Request, response: &Response) {
        let number = |template: &Template| match &template.0[..] {
            [Piece::Kept(slot)] => self.at(usize::from(*slot)).number().unwrap_or(0),
            _ => number(&self.fill(template, request, response)),
        };
        let value = match &set.change {
            Change::Set(template) => match &template.0[..] {
                [Piece::Text(text)] => Kept::Constant(Arc::clone(text), crate::operator::number(text)),
                _ => Kept::Text(self.fill(template, request, response).into_owned()),
            },
            Change::Add(template) => {
                let added = number(template);
                if self.is_of_a_score(set, request, response) {
                    self.points = self.points.saturating_add(added);
                }
                self.sum(set, added, request, response)
            }
            Change::Subtract(template) => self.sum(set, number(template).saturating_neg(), request, response),
            Change::Remove => Kept::Nothing,
        };
        if let Some(slot) = set.slot {
            self.kept[usize::from(slot)] = value;
            return;
        }
        let mut name = self.fill(&set.name, request, response).into_owned();
        name.make_ascii_lowercase();
        self.put(name, value);
    }

    fn is_of_a_score(&self, set: &SetVariable, request: &Request, response: &Response) -> bool {
        match set.slot {
            Some(slot) => is_score(self.name(slot)),
            None => is_score(&self.fill(&set.name, request, response).to_ascii_lowercase()),
        }
    }

    fn put(&mut self, name: Vec<u8>, value: Kept) {
        if is_capture(&name) {
            self.captures[usize::from(name[0] - b'0')] = value.text().map(<[u8]>::to_vec);
            self.has_captures = true;
        } else if let Some(slot) = self.names.slot(&name) {
            self.kept[usize::from(slot)] = value;
        } else if matches!(value, Kept::Nothing) {
            self.others.remove(&name);
        } else {
            self.others.insert(name, value);
        }
    }

    /// Text with its places filled in; what is not there leaves nothing.
    pub(super) fn fill<'t>(&self, template: &'t Template, request: &Request, response: &Response) -> Cow<'t, [u8]> {
        if let Some(constant) = template.constant() {
            return Cow::Borrowed(constant);
        }
        let mut text = Vec::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(part) => text.extend_from_slice(part),
                Piece::Kept(slot) => text.extend_from_slice(self.slot(*slot).unwrap_or_default()),
                Piece::Variable(collection, name) => self.append(&mut text, *collection, name, request, response),
            }
        }
        Cow::Owned(text)
    }

    /// Shows the values that the memory holds under one of its own collections, `TX` by its names.
    pub(super) fn each<'m>(&'m self, collection: Collection, mut see: impl FnMut(Value<'m>)) {
        let last = self.matched.last();
        let mut show = |name, value| see(Value { collection, name, value });
        match (collection, last) {
            (Collection::Tx, _) => self.each_kept(show),
            (Collection::MatchedVar, Some(one)) => show(b"", &one.value),
            (Collection::MatchedVarName, Some(one)) => show(b"", &one.label),
            (Collection::MatchedVars, _) => self.matched.iter().for_each(|one| show(&one.label, &one.value)),
            (Collection::MatchedVarsNames, _) => self.matched.iter().for_each(|one| show(&one.label, &one.label)),
            _ => {}
        }
    }

    /// Shows of `TX` what these names hold, and what names hold that no rule spells out: what a pattern may choose.
    pub(super) fn each_chosen<'m>(&'m self, slots: &[u16], mut see: impl FnMut(Value<'m>)) {
        let named = slots.iter().filter_map(|slot| Some((self.name(*slot), self.slot(*slot)?)));
        self.each_of(named, |name, value| see(Value { collection: Collection::Tx, name, value }));
    }

    fn each_kept<'m>(&'m self, show: impl FnMut(&'m [u8], &'m [u8])) {
        let named = (0..self.kept.len()).filter_map(|slot| Some((self.names.name(slot), self.at(slot).text()?)));
        self.each_of(named, show);
    }

    /// Shows these values, those of captures and those of other names, by their names.
    fn each_of<'m>(
        &'m self,
        named: impl Iterator<Item = (&'m [u8], &'m [u8])>,
        mut show: impl FnMut(&'m [u8], &'m [u8]),
    ) {
        const DIGITS: &[u8; 10] = b"0123456789";
        let captures = DIGITS.chunks(1).zip(&self.captures).filter_map(|(name, text)| Some((name, text.as_deref()?)));
        let others = self.others.iter().filter_map(|(name, kept)| Some((&name[..], kept.text()?)));
        // Most rules that look at names of a kind find none.
        let mut all: Vec<(&[u8], &[u8])> = Vec::new();
        all.extend(named.chain(others));
        if self.has_captures {
            all.extend(captures);
        }
        all.sort_unstable_by_key(|(name, _)| *name);
        for (name, text) in all {
            show(name, text);
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

    fn sum(&self, set: &SetVariable, change: i64, request: &Request, response: &Response) -> Kept {
        let before = match set.slot {
            Some(slot) => self.at(usize::from(slot)).number(),
            None => self.kept(&self.fill(&set.name, request, response)).map(number),
        };
        Kept::Number(Written::new(before.unwrap_or(0).saturating_add(change)))
    }
}

/// Whether a variable is an anomaly score as rules count it, and not a sum of them. Source: Core Rule Set, every rule's
/// `setvar:'tx.inbound_anomaly_score_pl1=+…'` or `outbound`; `anomaly_score_pl1` in version 3.
pub(super) fn is_score(name: &[u8]) -> bool {
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
