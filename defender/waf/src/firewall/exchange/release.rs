//! What an exchange lets go of once its request is judged: the values of a body take many times its bytes, and an application
//! may take its time to answer.

use super::{Exchange, answered, learning};
use crate::{
    firewall::{Application, Effect, exception, expression::Moment, groups::Group},
    value::State,
};

/// Bytes that are not worth the work of letting go of them.
const SMALL: usize = 16 << 10;

/// What is still known of values that were let go of.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Groups with an exception that covers one of them.
    pub(super) excepted: Vec<Group>,
    /// Whether a rule of the user's own says that one of them is sensitive.
    pub(super) sensitive: bool,
}

impl<'f> Exchange<'f> {
    /// Bytes of memory that the exchange holds because of its request's body. To be asked whenever the body was judged, or a
    /// piece of it: whoever holds many exchanges may have to refuse one.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.body.size() + self.held.len() + self.request.size() + self.transaction.size()
    }

    /// Lets go of what was read of the body, and of what was made of it, as far as nothing that is still to come looks at it:
    /// rules of the response, rules of one's own that wait for it, and learning. `head` is how far the head alone went.
    pub(super) fn release(&mut self, head: State) {
        let Some(application) = self.application else {
            // Nothing is looked at any more.
            self.held = Vec::new();
            return self.forget(head);
        };
        if self.waits(application) {
            return;
        }
        if !(self.learns_body_held() && self.reports.is_empty()) {
            (self.held, self.whole) = (Vec::new(), false);
        }
        if self.holds() - self.held.len() <= SMALL || self.ruleset.looks_back(self.request.owners_from(head.entries)) {
            return;
        }
        self.note_gone(application);
        self.forget(head);
    }

    /// Whether a rule of one's own is to be asked again. Those that only look at the request are not, known or not.
    fn waits(&mut self, application: &'f Application) -> bool {
        let rules = &application.rules.custom;
        self.decided.resize(rules.len(), false);
        for (decided, rule) in self.decided.iter_mut().zip(rules) {
            *decided |= rule.effect == Effect::Disable || rule.expression.moment() < Moment::ResponseHead;
        }
        self.decided.contains(&false)
    }

    fn learns_body_held(&self) -> bool {
        self.learns() && learning::is_learnt(self.held.len(), &self.request)
    }

    /// Keeps what is asked later of the values that are about to go.
    fn note_gone(&mut self, application: &Application) {
        self.gone.sensitive |= self.learns() && self.is_sensitive();
        if !answered::leaks_matter(application) {
            return;
        }
        for group in Group::all() {
            if exception::cover(&self.request, &application.groups.of(group).exceptions) {
                self.gone.excepted.push(group);
            }
        }
    }

    fn forget(&mut self, head: State) {
        // Only entries of the very request are where they were.
        if self.request.edited_since(head).is_some() {
            self.transaction.forget_from(head.entries);
            self.request.truncate(head.entries);
        }
    }
}
