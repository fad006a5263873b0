use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{LookupEvent, Reason};

pub(crate) fn instance(number: u8) -> Instance {
    Instance::of(&[number; 16])
}

pub(crate) fn draft(effect: Effect, name: &str) -> AuditDraft {
    let event = LookupEvent { name: name.into(), record_type: "A".into(), pid: 1, path: String::new() };
    AuditDraft {
        time: 1,
        rule: Some("shop".into()),
        effect,
        reason: Reason::DeniedName,
        matched: Some("*".into()),
        event: Event::Lookup(event),
    }
}

pub(crate) fn spools(count: usize) -> Spools {
    let mut spools = Spools::new(Limits { bytes: 1 << 20, count });
    spools.open_container(None, instance(1));
    spools
}

fn numbers(spools: &mut Spools) -> Vec<u64> {
    spools.rewind();
    let batches = std::iter::from_fn(|| spools.next_batch(500));
    batches.flat_map(|batch| batch.audits.into_iter().map(|audit| audit.seq)).collect()
}

/// Audits are numbered from 1 and stay until they are committed, however often they are sent.
#[test]
fn audits_stay_until_they_are_committed() {
    let mut spools = spools(100);
    for seq in 1..=3 {
        assert_eq!(spools.push(&instance(1), draft(Effect::Alert, "a")), Some(seq));
    }

    assert_eq!(numbers(&mut spools), [1, 2, 3]);
    spools.commit(&instance(1), 2);

    assert_eq!(numbers(&mut spools), [3]);
    assert_eq!(spools.watermark(&instance(1)), (3, 2));
}

/// When room is short, the oldest alerts go first, and what was prevented goes last.
#[test]
fn alerts_are_given_up_before_preventions() {
    let mut spools = spools(4);
    for effect in [Effect::Prevent, Effect::Alert, Effect::Prevent, Effect::Alert, Effect::Prevent, Effect::Prevent] {
        spools.push(&instance(1), draft(effect, "a"));
    }
    assert_eq!(numbers(&mut spools), [1, 3, 5, 6]);

    spools.push(&instance(1), draft(Effect::Prevent, "a"));

    assert_eq!(numbers(&mut spools), [3, 5, 6, 7]);
    assert_eq!(spools.dropped(None), 3);
}

/// What was given up is reported by one notice with the count; the next notice waits until that one is committed.
#[test]
fn drops_are_reported_once() {
    let mut spools = spools(2);
    for _ in 0..5 {
        spools.push(&instance(1), draft(Effect::Alert, "a"));
    }
    let counts = |spools: &mut Spools| {
        spools.rewind();
        let audits = std::iter::from_fn(|| spools.next_batch(500)).flat_map(|batch| batch.audits);
        let count = |audit: Audit| if let Event::Defender(event) = audit.event { Some(event.count) } else { None };
        audits.filter_map(count).collect::<Vec<_>>()
    };

    spools.report_drops(7);
    spools.report_drops(8);

    assert_eq!(counts(&mut spools), [3]);
    spools.commit(&instance(1), 6);
    spools.report_drops(9);
    // Making room for the first notice cost one more alert.
    assert_eq!(counts(&mut spools), [1]);
}

/// A container that floods costs no other container an audit.
#[test]
fn containers_do_not_share_their_room() {
    let mut spools = Spools::new(Limits { bytes: 1 << 20, count: 3 });
    for (container, notes) in [("web", 1), ("db", 2)] {
        spools.open_container(Some(container.into()), instance(notes));
    }
    spools.open_source(instance(3), Some("web".into()));
    spools.push(&instance(2), draft(Effect::Alert, "precious"));

    for _ in 0..100 {
        spools.push(&instance(3), draft(Effect::Prevent, "flood"));
    }

    assert_eq!((spools.dropped(Some("web")), spools.dropped(Some("db"))), (97, 0));
}

/// Audits of a source that has ended are still sent, and then it is forgotten.
#[test]
fn an_ended_source_is_sent_to_the_end() {
    let mut spools = spools(10);
    spools.open_source(instance(2), None);
    spools.push(&instance(2), draft(Effect::Alert, "a"));

    spools.close_source(&instance(2));

    assert_eq!(spools.next_batch(10).unwrap().source, instance(2));
    spools.commit(&instance(2), 1);
    assert_eq!(spools.push(&instance(2), draft(Effect::Alert, "a")), None);
}

/// However often a container is started anew, only so many sources are kept, and what is given up is counted.
#[test]
fn sources_are_bounded() {
    let mut spools = spools(1000);
    for number in 10..60 {
        spools.open_source(instance(number), None);
        spools.push(&instance(number), draft(Effect::Alert, "a"));
        spools.close_source(&instance(number));
    }

    assert!(spools.sources.len() <= MOST_SOURCES + 1);
    assert_eq!(spools.dropped(None) as usize + spools.sources.len() - 1, 50);
}

/// An audit that is sent again after a broken relay is kept once; an acknowledgement of what was never sent loses nothing.
#[test]
fn repeated_audits_and_false_acknowledgements_change_nothing() {
    let mut spools = spools(10);
    spools.take(&instance(1), draft(Effect::Alert, "a").numbered(1));
    spools.take(&instance(1), draft(Effect::Alert, "again").numbered(1));

    spools.commit(&instance(1), u64::MAX);

    assert_eq!(numbers(&mut spools), [1]);
}

/// A message never gets larger than a frame, whatever the audits carry.
#[test]
fn batches_fit_into_a_frame() {
    let mut spools = Spools::new(Limits { bytes: 8 << 20, count: 1000 });
    spools.open_container(None, instance(1));
    for _ in 0..20 {
        spools.push(&instance(1), draft(Effect::Alert, &"\u{1}".repeat(30_000)));
    }
    let mut sent = 0;

    while let Some(batch) = spools.next_batch(500) {
        sent += batch.audits.len();
        let frame = crate::message::encode(&crate::message::DefenderMessage::Audits(batch));
        assert!(frame.len() <= crate::message::LARGEST_MESSAGE);
    }

    assert_eq!(sent, 20);
}

/// What happens to a spool.
#[derive(Debug, Clone)]
enum Act {
    Push(u8, bool),
    Send(usize),
    Commit(u8),
    Break,
    Report,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1u8..4, any::<bool>()).prop_map(|(source, prevent)| Act::Push(source, prevent)),
        2 => (1usize..5).prop_map(Act::Send),
        1 => (1u8..4).prop_map(Act::Commit),
        1 => Just(Act::Break),
        1 => Just(Act::Report),
    ];
    prop::collection::vec(act, 0..80)
}

proptest! {
    /// Whatever happens, each audit that was pushed is still held, was sent and acknowledged, or is counted as given up;
    /// and the bound holds.
    #[test]
    fn no_audit_is_lost_silently(acts in acts(), limit in 1usize..8) {
        let mut spools = Spools::new(Limits { bytes: 1 << 20, count: limit });
        spools.open_container(None, instance(1));
        (2..4).for_each(|source| spools.open_source(instance(source), None));
        let (mut pushed, mut committed, mut sent) = (0, BTreeSet::new(), BTreeSet::new());
        for act in acts {
            match act {
                Act::Push(source, prevent) => {
                    let effect = if prevent { Effect::Prevent } else { Effect::Alert };
                    spools.push(&instance(source), draft(effect, "a"));
                    pushed += 1;
                }
                Act::Send(most) => if let Some(batch) = spools.next_batch(most) {
                    let numbers: Vec<u64> = batch.audits.iter().map(|audit| audit.seq).collect();
                    prop_assert!(numbers.is_sorted_by(|one, next| one < next));
                    sent.extend(numbers.into_iter().map(|seq| (batch.source.clone(), seq)));
                },
                Act::Commit(source) => {
                    let id = instance(source);
                    let last = sent.iter().filter(|(source, _)| *source == id).map(|(_, seq)| *seq).max();
                    committed.extend(sent.iter().filter(|(source, _)| *source == id).cloned());
                    spools.commit(&id, last.unwrap_or(0));
                }
                Act::Break => spools.rewind(),
                Act::Report => {
                    let before = spools.watermark(&instance(1)).0;
                    spools.report_drops(1);
                    pushed += spools.watermark(&instance(1)).0 - before;
                }
            }
            let held: usize = spools.sources.iter().map(|source| source.alerts.len() + source.kept.len()).sum();
            prop_assert!(held <= limit);
            prop_assert!(held as u64 + committed.len() as u64 + spools.dropped(None) >= pushed);
        }
    }
}
