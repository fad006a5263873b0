//! Calls that could not be judged because their caller is closed to us, told by program: the first at once, the others
//! counted and told every ten seconds.
use std::{
    collections::HashMap,
    fmt,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(10);
/// A program chooses its name itself, so there may be any number; what is over is told together.
const MOST: usize = 64;
const OTHERS: &str = "others";

/// What a call would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// `connect`, `bind`, `sendto` and the like.
    Network,
    /// A write to a file.
    Write,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It happened.
    LetThrough,
    /// It failed.
    Refused,
}

type Kind = (String, Deed, Fate);

/// Calls by program, deed and fate.
#[derive(Debug, Default)]
pub struct Unjudged(HashMap<Kind, Tally>);

#[derive(Debug)]
struct Tally {
    since: Instant,
    untold: u64,
}

/// What is to be told: how many calls of a kind there were.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    kind: Kind,
    /// At least one.
    pub count: u64,
}

impl Unjudged {
    /// Counts a call of a program; what is to be told at once.
    pub fn add(&mut self, name: &str, deed: Deed, fate: Fate, now: Instant) -> Option<Told> {
        let known = |name: &str| self.0.contains_key(&(name.to_owned(), deed, fate));
        let name = if self.0.len() < MOST || known(name) { name } else { OTHERS };
        let kind = (name.to_owned(), deed, fate);
        if let Some(tally) = self.0.get_mut(&kind) {
            tally.untold += 1;
            return None;
        }
        self.0.insert(kind.clone(), Tally { since: now, untold: 0 });
        Some(Told { kind, count: 1 })
    }

    /// What is to be told because its time is over. Kinds of which there was none meanwhile are forgotten.
    pub fn due(&mut self, now: Instant) -> Vec<Told> {
        let mut told = Vec::new();
        self.0.retain(|kind, tally| {
            if now.duration_since(tally.since) < WINDOW {
                return true;
            }
            let count = std::mem::take(&mut tally.untold);
            tally.since = now;
            if count > 0 {
                told.push(Told { kind: kind.clone(), count });
            }
            count > 0
        });
        told
    }
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, deed, fate) = &self.kind;
        let deed = match deed {
            Deed::Network => "calls on the network",
            Deed::Write => "writes to files",
        };
        let fate = match fate {
            Fate::LetThrough => "let through unjudged",
            Fate::Refused => "refused unjudged",
        };
        write!(
            formatter,
            "`{name}` changed its user or made itself undumpable and cannot be looked at, {deed} of it are {fate}: add \
             SYS_PTRACE to the container, or start it as that user"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(unjudged: &mut Unjudged, name: &str, now: Instant) -> Option<u64> {
        unjudged.add(name, Deed::Network, Fate::LetThrough, now).map(|told| told.count)
    }

    #[test]
    fn the_first_is_told_and_the_others_are_counted() {
        let (mut unjudged, start) = (Unjudged::default(), Instant::now());

        assert_eq!(Some(1), add(&mut unjudged, "nginx", start));
        assert_eq!((None, None), (add(&mut unjudged, "nginx", start), add(&mut unjudged, "nginx", start)));
        assert_eq!(Some(1), add(&mut unjudged, "php", start));
        assert!(unjudged.due(start + WINDOW / 2).is_empty());
        let told = unjudged.due(start + WINDOW);
        assert_eq!(vec![2], told.iter().map(|told| told.count).collect::<Vec<_>>());
        assert!(told[0].to_string().starts_with("`nginx` "));
        assert!(unjudged.due(start + WINDOW * 2).is_empty());
        assert_eq!(Some(1), add(&mut unjudged, "nginx", start + WINDOW * 2), "forgotten by then");
    }

    /// Whatever names programs give themselves, what is kept is bounded and every call is told once.
    #[test]
    fn no_number_of_names_makes_it_grow() {
        let (mut unjudged, start) = (Unjudged::default(), Instant::now());

        let at_once: u64 = (0..1000).filter_map(|number| add(&mut unjudged, &number.to_string(), start)).sum();

        assert_eq!((MOST as u64 + 1, MOST + 1), (at_once, unjudged.0.len()));
        let later: u64 = unjudged.due(start + WINDOW).iter().map(|told| told.count).sum();
        assert_eq!(1000, at_once + later);
    }
}
