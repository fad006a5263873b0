//! Programs that do not take our answers: they ask the very same question again after it was answered, through the same
//! socket. Numbers of questions alone repeat soon (there are 65536, and some resolvers use one), and so do ports.
//!
//! A client that compares an answer's source refuses the resolver in between where it cannot have the server's address.
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use defender_core::dns::Question;

use super::clients::Redirection;

/// Answered questions remembered, and for how long in milliseconds: c-ares asks again after 2 to 5 seconds.
const ANSWERED_KEPT: usize = 1024;
const ANSWERED_LIFE: u64 = 15_000;
const PROGRAMS_KEPT: usize = 64;

/// The programs that were found out, and the questions answered of late.
#[derive(Default)]
pub struct Unheard(Mutex<State>);

#[derive(Default)]
struct State {
    answered: HashMap<(Redirection, Question), u64>,
    programs: HashSet<String>,
}

impl Unheard {
    /// Takes down that a question was answered at `now`.
    pub fn answered(&self, redirection: Redirection, question: Question, now: u64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.answered.len() >= ANSWERED_KEPT {
            state.answered.retain(|_, at| now - *at < ANSWERED_LIFE);
        }
        // With too many at a time some repetitions are not noticed.
        if state.answered.len() < ANSWERED_KEPT {
            state.answered.insert((redirection, question), now);
        }
    }

    /// True when who asks got an answer to this very question a while ago, for the first time of program `path`.
    pub fn asks_again(&self, redirection: Redirection, path: &str, question: &Question, now: u64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered =
            state.answered.remove(&(redirection, question.clone())).is_some_and(|at| now - at < ANSWERED_LIFE);
        answered && state.programs.len() < PROGRAMS_KEPT && state.programs.insert(path.to_owned())
    }

    /// True for a program that was found out.
    pub fn has(&self, path: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).programs.contains(path)
    }

    /// True while no program was found out, which needs no path.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).programs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: u16) -> Question {
        Question { id, name: "shop.test".into(), record_type: "A".into() }
    }

    #[test]
    fn who_asks_the_same_again_after_the_answer_is_found_out_once() {
        let unheard = Unheard::default();
        assert!(!unheard.asks_again(7, "/bin/node", &question(1), 0));
        unheard.answered(7, question(1), 10);

        assert!(!unheard.asks_again(7, "/bin/node", &question(2), 20), "another id is another question");
        assert!(!unheard.asks_again(8, "/bin/node", &question(1), 20), "another socket asks for itself");
        assert!(unheard.asks_again(7, "/bin/node", &question(1), 20));
        unheard.answered(7, question(1), 30);
        assert!(!unheard.asks_again(7, "/bin/node", &question(1), 40), "it is told of once");
        assert!(unheard.has("/bin/node") && !unheard.has("/bin/curl"));
    }

    #[test]
    fn a_question_that_comes_again_much_later_is_a_new_one() {
        let unheard = Unheard::default();
        unheard.answered(7, question(1), 0);

        assert!(!unheard.asks_again(7, "/bin/node", &question(1), ANSWERED_LIFE));
        assert!(unheard.is_empty());
    }

    #[test]
    fn a_flood_of_questions_stays_within_bounds() {
        let unheard = Unheard::default();
        for number in 0..3 * ANSWERED_KEPT {
            unheard.answered(number as Redirection, question(1), 0);
        }

        assert_eq!(ANSWERED_KEPT, unheard.0.lock().unwrap().answered.len());
    }
}
