use proptest::prelude::*;

use super::*;
use crate::LookupEvent;

fn lookup(name: &str) -> Event {
    Event::Lookup(LookupEvent { name: name.to_owned(), record_type: "A".into(), pid: 1, path: String::new() })
}

/// The same thing again is counted, with the times of the first and the last.
#[test]
fn a_thing_is_there_once() {
    let mut observations = Observations::default();
    for time in [20, 10, 30] {
        observations.note(time, &lookup("a.test"));
    }
    let (taken, overflow) = observations.take();
    assert_eq!(overflow, 0);
    let only = Observed {
        kind: ObservedKind::Name,
        value: "a.test".into(),
        detail: String::new(),
        count: 3,
        first: 10,
        last: 30,
    };
    assert_eq!(taken, [only]);
    assert!(observations.is_empty());
}

/// A workload that makes up names is held to the bounds, and what found no place is counted.
#[test]
fn a_flood_is_bounded_and_counted() {
    let mut observations = Observations::default();
    for number in 0..5000_u64 {
        observations.note(number, &lookup(&format!("{number}.test")));
    }
    observations.note(1, &lookup(&"x".repeat(LONGEST + 1)));
    let (taken, overflow) = observations.take();
    assert_eq!(taken.len(), MOST_OF_A_KIND);
    assert_eq!(overflow, 4001);
}

proptest! {
    /// Whatever is noted, taken and given back, every sighting is either in what is taken or in the overflow.
    #[test]
    fn nothing_is_lost(names in prop::collection::vec("[a-d]{0,3}|\\PC{0,2000}", 0..60), again in any::<bool>()) {
        let mut observations = Observations::default();
        for name in &names {
            observations.note(5, &lookup(name));
        }
        if again {
            let (taken, overflow) = observations.take();
            observations.merge(&taken, overflow);
        }
        let mut total = 0;
        while !observations.is_empty() {
            let (taken, overflow) = observations.take();
            total += overflow + taken.iter().map(|each| each.count).sum::<u64>();
        }
        prop_assert_eq!(total, names.iter().filter(|name| !name.is_empty()).count() as u64);
        prop_assert_eq!(observations.bytes, 0);
    }
}
