//! One look at each value of a request: which questions may hold for it. What is left to be asked is kept by question, so that
//! a rule finds the few values that it has to look at, and most rules none.

use std::{borrow::Cow, sync::Arc};

use super::{
    interests::{Asking, Interests, Table},
    memo::{self, Memo, Place},
};
use crate::{
    prefilter::{BitSet, Named, Scratch, Shape},
    transformation::Transformation,
    value::{Request, State},
};

/// So many values of one request are looked for in the memo: of more, few are old ones.
const MOST_RECALLED: usize = 1024;

/// So many sets of what is asked of values as they came are kept.
const MOST_ASKED_FIRST: usize = 64;

/// Room that took more bytes than these is given back.
const MOST_KEPT: usize = 64 << 10;
/// The work of looking at a name with its value, however short they are, in bytes.
const LOOKING: u64 = 128;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// What is known of the values so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// How far the request and the response were looked at.
    seen: [State; 2],
    /// What is asked; other questions have no candidates here and must be asked of every value.
    table: Option<Arc<Table>>,
    /// For each question its first and its last candidate.
    ends: Vec<(u32, u32)>,
    candidates: Vec<Linked>,
    /// How many values were looked for in the memo.
    recalled: usize,
}

/// A value for which a question may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    /// Its entry.
    pub place: u32,
    /// Whether it is the entry's name.
    pub name: bool,
    /// Whether the response has it.
    pub response: bool,
    /// Where it is remembered.
    pub memo: Place,
}

#[derive(Debug)]
struct Linked {
    candidate: Candidate,
    next: u32,
}

/// Room to work in, kept from value to value and from request to request.
#[derive(Debug, Default)]
pub(super) struct Room {
    scratch: Scratch,
    /// What is asked of one form.
    asked_here: BitSet,
    /// What is asked of values as they came, of which so many nodes make another: it is the same for many.
    asked_first: Vec<(u32, u128, BitSet)>,
    found: BitSet,
    named: Named,
    forms: Vec<Form>,
    form_of: Vec<u8>,
    /// So much work may be done, of all values and of the one in hand.
    pub most: u64,
}

/// What a value becomes by some transformations.
#[derive(Debug, Default)]
struct Form {
    bytes: Vec<u8>,
    shape: Shape,
    candidates: BitSet,
    asked: bool,
    named: Named,
}

impl Survey {
    /// Begins, with what is asked out of so many questions.
    pub(super) fn begin(&mut self, table: Arc<Table>, questions: usize) {
        self.table = Some(table);
        self.ends = vec![(NONE, NONE); questions];
    }

    pub(super) fn has_begun(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the candidates of a question are known.
    pub(super) fn knows(&self, ask: u16) -> bool {
        self.table.as_ref().is_some_and(|table| table.live.contains(usize::from(ask)))
    }

    /// Whether a question has no candidate; only of those that are known.
    pub(super) fn is_clear(&self, ask: u16) -> bool {
        self.ends.get(usize::from(ask)).is_some_and(|ends| ends.0 == NONE)
    }

    /// The candidates of a question, in the order of their entries.
    pub(super) fn candidates(&self, ask: u16) -> impl Iterator<Item = Candidate> + '_ {
        let mut place = self.ends.get(usize::from(ask)).map_or(NONE, |ends| ends.0);
        std::iter::from_fn(move || {
            let linked = self.candidates.get(place as usize)?;
            place = linked.next;
            Some(linked.candidate)
        })
    }

    /// Looks at all values that were not looked at yet, unless the memo knows them. Gives the work that it was, which is the same
    /// for a value that was remembered. Once it is more than the room's `most` nothing else is looked at, now or later.
    pub(super) fn look(
        &mut self,
        interests: &Interests,
        sides: [&Request; 2],
        mut memo: Option<&mut Memo>,
        room: &mut Room,
    ) -> u64 {
        let (mut looked, most) = (0, room.most);
        let Some(table) = self.table.clone() else { return 0 };
        if (0..2).any(|which| self.is_outdated(interests, sides[which], which)) {
            self.ends.fill((NONE, NONE));
            self.candidates.clear();
            self.seen = [State::default(); 2];
        }
        for (which, request) in sides.into_iter().enumerate() {
            let now = request.state();
            for place in self.seen[which].entries..now.entries {
                if looked > most {
                    break;
                }
                room.most = most - looked;
                let (table, of) = ((interests, &*table), (request, which == 1));
                looked += LOOKING + self.look_at(table, of, place, memo.as_deref_mut(), &mut *room);
            }
            self.seen[which] = now;
        }
        looked
    }

    /// Lets go of what is known of the request's entries but the first ones.
    pub(super) fn forget_from(&mut self, entries: usize) {
        let before = std::mem::take(&mut self.candidates);
        for ends in &mut self.ends {
            let mut place = std::mem::replace(ends, (NONE, NONE)).0;
            while let Some(Linked { candidate, next }) = before.get(place as usize) {
                place = *next;
                if candidate.response || (candidate.place as usize) < entries {
                    link(&mut self.candidates, ends, *candidate);
                }
            }
        }
        self.seen[0].entries = self.seen[0].entries.min(entries);
    }

    /// Bytes of memory that what is known takes.
    pub(super) fn size(&self) -> usize {
        self.candidates.capacity() * size_of::<Linked>()
    }

    /// Whether something that was looked at is another now.
    fn is_outdated(&self, interests: &Interests, request: &Request, which: usize) -> bool {
        if self.seen[which].entries == 0 {
            return false;
        }
        request.edited_since(self.seen[which]).is_none_or(|edited| {
            edited.iter().any(|one| [false, true].iter().any(|name| !interests.side(*one, *name).is_empty()))
        })
    }

    fn look_at(
        &mut self,
        (interests, table): (&Interests, &Table),
        (request, response): (&Request, bool),
        place: usize,
        mut memo: Option<&mut Memo>,
        room: &mut Room,
    ) -> u64 {
        let (collection, own_name) = request.entry(place);
        let mut looked = 0;
        for name in [false, true] {
            let Some(asking) = table.asking(interests, (collection, name), own_name) else { continue };
            self.recalled += 1;
            let value = request.text(place, name);
            let mut candidate = Candidate { place: place as u32, name, response, memo: Place::default() };
            let memo = memo.as_deref_mut().filter(|_| self.recalled <= MOST_RECALLED).zip(asking.number);
            let Some((memo, number)) = memo else {
                looked += room.judge(interests, asking, value);
                room.found.numbers().for_each(|ask| self.add(ask, candidate));
                continue;
            };
            candidate.memo = Place::of(value, number);
            if let Some((found, work)) = memo.recall(candidate.memo, value, number) {
                looked += work;
                for ask in found {
                    self.add(usize::from(*ask), candidate);
                }
                continue;
            }
            let work = room.judge(interests, asking, value);
            memo.keep(candidate.memo, value, number, &room.found, work);
            looked += work;
            room.found.numbers().for_each(|ask| self.add(ask, candidate));
        }
        looked
    }

    /// Adds a candidate of a question.
    fn add(&mut self, ask: usize, candidate: Candidate) {
        link(&mut self.candidates, &mut self.ends[ask], candidate);
    }
}

/// Appends a candidate to a list.
fn link(candidates: &mut Vec<Linked>, ends: &mut (u32, u32), candidate: Candidate) {
    let linked = candidates.len() as u32;
    candidates.push(Linked { candidate, next: NONE });
    match candidates.get_mut(ends.1 as usize) {
        Some(last) => last.next = linked,
        None => ends.0 = linked,
    }
    ends.1 = linked;
}

impl Room {
    /// Whether it is worth keeping: no long value took much room in it.
    pub(super) fn is_small(&self) -> bool {
        self.forms.iter().map(|form| form.bytes.capacity()).sum::<usize>() <= MOST_KEPT
    }

    /// Puts into `found` what may hold for a value of what is asked. Gives the bytes that were looked at.
    fn judge(&mut self, interests: &Interests, asking: &Asking, value: &[u8]) -> u64 {
        let shape = Shape::of(value);
        let active = interests.active(asking, interests.prefilter.layer_of(&shape.present), &shape);
        self.named.known = None;
        let (looked_at, masks) = ((value, &shape.present), Some(&asking.masks));
        interests.prefilter.candidates_with(looked_at, masks, &mut self.scratch, &mut self.named, &mut self.found);
        if active == 0 {
            self.found.keep(&asking.wanted);
            return value.len() as u64 + 1;
        }
        self.find_asked_first(interests, asking, active);
        self.transformed(interests, asking, (value, shape), active)
    }

    /// Puts into `asked_here` what is asked of a value as it came, when these nodes make another of it.
    fn find_asked_first(&mut self, interests: &Interests, asking: &Asking, active: u128) {
        let known = self.asked_first.iter().find(|(known, nodes, _)| (Some(*known), *nodes) == (asking.number, active));
        if let Some((.., known)) = known {
            self.asked_here.copy(known);
            return;
        }
        self.asked_here.copy(&asking.wanted);
        let mut rest = active;
        while rest != 0 {
            self.asked_here.drop_all(&interests.nodes[rest.trailing_zeros() as usize].asks);
            rest &= rest - 1;
        }
        // Where each transformation is followed by a question, the first of them is about the value as it came.
        self.asked_here.add_common(&asking.wanted, &interests.multiple);
        if let Some(number) = asking.number.filter(|_| self.asked_first.len() < MOST_ASKED_FIRST) {
            self.asked_first.push((number, active, self.asked_here.clone()));
        }
    }

    fn transformed(
        &mut self,
        interests: &Interests,
        asking: &Asking,
        (value, shape): (&[u8], Shape),
        active: u128,
    ) -> u64 {
        self.form_of.clear();
        self.form_of.resize(interests.nodes.len(), 0);
        let mut forms = 1;
        self.put_form(0, value, shape);
        self.forms[0].candidates.copy(&self.found);
        self.forms[0].asked = true;
        std::mem::swap(&mut self.forms[0].named, &mut self.named);
        self.found.keep(&self.asked_here);
        let mut looked = value.len() as u64 + 1;
        let mut rest = active;
        // Of a value that is remembered everything must be known.
        while rest != 0 && (looked <= self.most || value.len() <= memo::LONGEST) {
            let number = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let node = &interests.nodes[number];
            let mut form = usize::from(self.form_of[node.parent]);
            if !node.triggers.spare(&self.forms[form].shape) {
                let from = form;
                let before = std::mem::take(&mut self.forms[form].bytes);
                looked += before.len() as u64;
                let after = match node.transformation.apply(&before) {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(after) => Some(after),
                };
                self.forms[form].bytes = before;
                if let Some(after) = after {
                    let known = self.forms[..forms].iter().position(|known| known.bytes == after);
                    form = known.unwrap_or(forms);
                    if known.is_none() {
                        self.put_form(forms, &after, Shape::of(&after));
                        if node.transformation == Transformation::Lowercase {
                            self.share_words(from, forms);
                        }
                        forms += 1;
                    }
                }
            }
            self.form_of[number] = form as u8;
            if node.asks.meets(&asking.wanted) {
                let form = &mut self.forms[form];
                if !form.asked {
                    form.asked = true;
                    looked += form.bytes.len() as u64;
                    let Form { bytes, shape, candidates, named, .. } = form;
                    let (looked_at, masks) = ((&bytes[..], &shape.present), Some(&asking.masks));
                    interests.prefilter.candidates_with(looked_at, masks, &mut self.scratch, named, candidates);
                }
                self.asked_here.copy(&asking.wanted);
                self.asked_here.keep(&node.asks);
                self.found.add_common(&form.candidates, &self.asked_here);
            }
        }
        looked
    }

    /// Puts a value where forms are kept, for which nothing is known yet.
    fn put_form(&mut self, place: usize, bytes: &[u8], shape: Shape) {
        if self.forms.len() == place {
            self.forms.push(Form::default());
        }
        let form = &mut self.forms[place];
        form.shape = shape;
        form.bytes.clear();
        form.bytes.extend_from_slice(bytes);
        form.asked = false;
        form.named.known = None;
    }

    /// Words are the same in either case.
    fn share_words(&mut self, from: usize, to: usize) {
        let (before, after) = self.forms.split_at_mut(to);
        let (from, to) = (&before[from].named, &mut after[0].named);
        to.known = from.known;
        if from.known.is_some() {
            to.questions.copy(&from.questions);
        }
    }
}
