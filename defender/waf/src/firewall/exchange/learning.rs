//! What an exchange tells beside what is wrong with it: the endpoint that was asked for, and whose names are wanted.

use std::net::IpAddr;

use super::Exchange;
use crate::{
    firewall::{
        Application,
        discovery::{self, Observation},
        scrub::Place,
    },
    value::{Collection, Request},
};

impl<'f> Exchange<'f> {
    /// What an application's endpoints are learnt from, with the application's name: a request with nothing to tell of that the
    /// application answered. To be asked at the end, before [`finish`](Self::finish).
    #[must_use]
    pub fn observation(&self) -> Option<(&'f str, Observation<'_>)> {
        let application = self.application.filter(|_| self.learns() && self.reports.is_empty())?;
        let observation = Observation {
            request: &self.request,
            body: self.whole.then_some(&self.held[..]),
            status: self.answered_with?,
            secure: self.origin.secure,
            sensitive: self.gone.sensitive || self.is_sensitive(),
            now: self.now,
        };
        Some((&application.app_id, observation))
    }

    /// The address whose names would tell whether the client is the bot that it says to be, when the policy cares.
    #[must_use]
    pub fn wants_names(&self) -> Option<IpAddr> {
        let bots = self.application?.rules.bots.as_ref()?;
        bots.wants_names(self.head).then_some(self.origin.address)
    }

    /// The names that the client's address has and that have the address. To be called before the head is judged; otherwise
    /// a bot's word counts.
    pub fn name_client(&mut self, names: Vec<String>) {
        self.names = Some(names);
    }

    /// Whether the body is kept to learn from it.
    pub(super) fn learns_body(&self) -> bool {
        self.learns() && is_learnt(self.body.held().len(), &self.request)
    }

    pub(super) fn learns(&self) -> bool {
        !self.firewall.policy().skip_learning
    }

    /// Whether one of the user's own rules for sensitive data fits.
    pub(super) fn is_sensitive(&self) -> bool {
        const PLACES: [(Collection, Place); 4] = [
            (Collection::ArgsGet, Place::Query),
            (Collection::ArgsPost, Place::Body),
            (Collection::RequestHeaders, Place::Header),
            (Collection::RequestCookies, Place::Cookie),
        ];
        let scrubber = &self.firewall.policy().scrubber;
        scrubber.has_rules()
            && PLACES.into_iter().any(|(collection, place)| {
                self.request.of(collection).any(|value| scrubber.names(place, value.name, value.value))
            })
    }
}

/// Whether something is learnt from a body of so many bytes.
pub(super) fn is_learnt(length: usize, request: &Request) -> bool {
    length <= discovery::MOST_BODY && discovery::is_json(request)
}

/// Whether anybody judges the values of a body.
pub(super) fn is_judged(application: &Application) -> bool {
    !application.groups.are_disabled() || is_read_whole(application)
}

/// Whether a body is kept for those that look at it as a whole.
pub(super) fn is_read_whole(application: &Application) -> bool {
    let rules = &application.rules;
    !rules.custom.is_empty() || rules.api.is_some() || application.uploads.effect > crate::firewall::Effect::Allow
}
