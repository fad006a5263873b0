//! Which of a request's values rules look at once its own phases are over: all others need not be kept until the response.

use crate::{
    prefilter::BitSet,
    rule::{Change, Piece, Rule, Step, Template},
    value::{COLLECTIONS, Collection, owners},
};

/// The collections, by those that own their entries, that rules of the response look at.
#[derive(Debug)]
pub(super) struct Backward([bool; COLLECTIONS]);

impl Default for Backward {
    fn default() -> Self {
        Self([false; COLLECTIONS])
    }
}

impl Backward {
    /// Of some rules of all phases, by their places.
    pub(super) fn of(phases: &[Vec<Step>; 5], rules: &BitSet) -> Self {
        let mut backward = Self::default();
        for step in phases[2..].iter().flatten() {
            if let Step::Rule(rule) = step
                && rules.contains(rule.plan.place)
            {
                backward.add_rule(rule);
            }
        }
        backward
    }

    /// Whether one of the collections is looked at.
    pub(super) fn looks_at(&self, mut owners: impl Iterator<Item = Collection>) -> bool {
        owners.any(|owner| self.0[owner as usize])
    }

    fn add_rule(&mut self, rule: &Rule) {
        self.add_template(&rule.message);
        self.add_template(&rule.log_data);
        for link in &rule.links {
            link.targets.iter().for_each(|target| self.add(target.collection));
            if let Some(argument) = link.operator.template() {
                self.add_template(argument);
            }
            for set in &link.variables {
                self.add_template(&set.name);
                match &set.change {
                    Change::Set(text) | Change::Add(text) | Change::Subtract(text) => self.add_template(text),
                    Change::Remove => {}
                }
            }
        }
    }

    fn add_template(&mut self, template: &Template) {
        for piece in &template.0 {
            if let Piece::Variable(collection, _) = piece {
                self.add(*collection);
            }
        }
    }

    fn add(&mut self, collection: Collection) {
        let (first, second, _) = owners(collection);
        self.0[first as usize] = true;
        self.0[second as usize] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seclang::{Source, load};

    /// Targets, messages and what is set count, of rules of the response alone; names count as what they are names of.
    #[test]
    fn later_rules_tell_what_they_look_at() {
        let text = br#"
SecRule FILES "@rx a" "id:1,phase:2,pass"
SecRule RESPONSE_STATUS "@eq 500" "id:2,phase:3,pass,msg:'%{REQUEST_URI}',setvar:'tx.a=%{REQUEST_BODY}',chain"
SecRule ARGS_POST_NAMES "@rx a" ""
"#;
        let ruleset = load(&[Source { name: "rules.conf", text }], &[]).unwrap();
        let looks_at = |collection| ruleset.looks_back(std::iter::once(collection));

        assert!([Collection::ArgsPost, Collection::RequestUri, Collection::RequestBody].into_iter().all(looks_at));
        assert!(![Collection::ArgsGet, Collection::Files, Collection::RequestHeaders].into_iter().any(looks_at));
    }
}
