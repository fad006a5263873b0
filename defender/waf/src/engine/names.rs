//! The names of `TX` that rules spell out, each with a number: a request keeps their values in places of their own.

use std::sync::Arc;

use crate::{
    rule::{Change, Link, Piece, Rule, Selector, Step, Target, Template},
    value::Collection,
};

/// Names in lower case, sorted; a name's number is its place.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Arc<[u8]>>);

impl Names {
    /// The names that rules spell out, but for those of captures.
    pub(super) fn of(phases: &[Vec<Step>; 5]) -> Self {
        let mut names = Vec::new();
        let mut note = |name: &[u8]| {
            if !is_capture(name) {
                names.push(Arc::from(name.to_ascii_lowercase()));
            }
        };
        for step in phases.iter().flatten() {
            let Step::Rule(rule) = step else { continue };
            for template in [&rule.message, &rule.log_data].into_iter().chain(rule.links.iter().flat_map(templates)) {
                for piece in &template.0 {
                    if let Piece::Variable(Collection::Tx, name) = piece {
                        note(name);
                    }
                }
            }
            for link in &rule.links {
                link.targets.iter().filter_map(spelt).for_each(&mut note);
                link.variables.iter().filter_map(|set| set.name.constant()).for_each(&mut note);
            }
        }
        names.sort();
        names.dedup();
        Self(names)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of a name in lower case.
    pub(super) fn slot(&self, name: &[u8]) -> Option<u16> {
        self.0.binary_search_by(|known| (**known).cmp(name)).ok().and_then(|place| u16::try_from(place).ok())
    }

    /// The name of a number.
    pub(super) fn name(&self, slot: usize) -> &[u8] {
        &self.0[slot]
    }

    /// Puts numbers for names wherever a rule spells them out.
    pub(super) fn settle(&self, rule: &mut Rule) {
        self.settle_template(&mut rule.message);
        self.settle_template(&mut rule.log_data);
        for link in &mut rule.links {
            for target in &mut link.targets {
                if let (Selector::Matching(pattern), Collection::Tx) = (&target.selector, target.collection) {
                    let slots = (0..self.0.len()).filter(|slot| pattern.is_match(&self.0[*slot]));
                    target.slots = Some(slots.map(|slot| slot as u16).collect());
                }
                target.slot = spelt(target).and_then(|name| self.slot(&name.to_ascii_lowercase()));
            }
            if let Some(template) = link.operator.template_mut() {
                self.settle_template(template);
            }
            for set in &mut link.variables {
                set.slot = set.name.constant().and_then(|name| self.slot(&name.to_ascii_lowercase()));
                self.settle_template(&mut set.name);
                if let Some(template) = set.change.template_mut() {
                    self.settle_template(template);
                }
            }
        }
    }

    fn settle_template(&self, template: &mut Template) {
        for piece in &mut template.0 {
            if let Piece::Variable(Collection::Tx, name) = piece
                && let Some(slot) = self.slot(name)
            {
                *piece = Piece::Kept(slot);
            }
        }
    }
}

/// Whether a name is that of a captured group.
pub(super) fn is_capture(name: &[u8]) -> bool {
    matches!(name, [b'0'..=b'9'])
}

fn spelt(target: &Target) -> Option<&[u8]> {
    match &target.selector {
        Selector::Named(name) if target.collection == Collection::Tx => Some(name),
        _ => None,
    }
}

fn templates(link: &Link) -> impl Iterator<Item = &Template> {
    link.operator
        .template()
        .into_iter()
        .chain(link.variables.iter().flat_map(|set| std::iter::once(&set.name).chain(set.change.template())))
}

impl Change {
    /// The text that it sets or adds.
    pub(super) fn template(&self) -> Option<&Template> {
        match self {
            Self::Set(template) | Self::Add(template) | Self::Subtract(template) => Some(template),
            Self::Remove => None,
        }
    }

    fn template_mut(&mut self) -> Option<&mut Template> {
        match self {
            Self::Set(template) | Self::Add(template) | Self::Subtract(template) => Some(template),
            Self::Remove => None,
        }
    }
}
