use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{LookupEvent, Reason, message::ToConsole};

fn draft(effect: Effect, name: &str) -> AuditDraft {
    let event = LookupEvent { name: name.into(), record_type: "A".into(), pid: 1, path: String::new() };
    AuditDraft {
        time: 1,
        rule: Some("shop".into()),
        effect,
        reason: Reason::DeniedName,
        matched: Some("*".into()),
        event: Event::Lookup(event),
        ancestry: Vec::new(),
    }
}

/// A spool with room for `count` audits made by `draft` with a name of one letter.
fn spool(count: usize) -> Spool {
    Spool::new(count * encoded_size(&draft(Effect::Prevent, "a").numbered(1)) + 50)
}

fn push(spool: &mut Spool, effects: &[Effect]) {
    for effect in effects {
        spool.push(draft(*effect, "a"));
    }
}

fn numbers(spool: &mut Spool) -> Vec<u64> {
    spool.rewind();
    spool.next_batch(500).iter().map(|audit| audit.seq).collect()
}

fn drop_counts(spool: &mut Spool) -> Vec<u64> {
    spool.rewind();
    let count = |audit: Audit| if let Event::Defender(event) = audit.event { Some(event.count) } else { None };
    spool.next_batch(500).into_iter().filter_map(count).collect()
}

/// Audits are numbered from 1, sent once, and sent again only after a lost connection, until they are committed.
#[test]
fn audits_stay_until_they_are_committed() {
    let mut spool = spool(10);
    push(&mut spool, &[Effect::Alert; 5]);

    assert_eq!(spool.next_batch(3).len(), 3);
    assert_eq!(spool.next_batch(3).len(), 2);
    assert_eq!(spool.next_batch(3), []);
    spool.commit(2);

    assert_eq!(numbers(&mut spool), [3, 4, 5]);
    spool.commit(u64::MAX);
    assert_eq!((spool.committed(), spool.bytes()), (5, 0));
}

/// When room is short, the oldest alerts go first, and what was prevented goes last.
#[test]
fn alerts_are_given_up_before_preventions() {
    use Effect::{Alert, Prevent};
    let mut spool = spool(4);
    push(&mut spool, &[Prevent, Alert, Prevent, Alert, Prevent, Prevent]);
    assert_eq!(numbers(&mut spool), [1, 3, 5, 6]);

    push(&mut spool, &[Prevent, Alert]);

    assert_eq!(numbers(&mut spool), [3, 5, 6, 7]);
    assert_eq!(spool.dropped(), 4);
}

/// What was given up is reported by one notice with the count; the next notice waits until that one is committed.
#[test]
fn drops_are_reported_once() {
    let mut spool = spool(2);
    push(&mut spool, &[Effect::Alert; 5]);

    spool.report_drops(7);
    spool.report_drops(8);

    assert_eq!(drop_counts(&mut spool), [3]);
    let before = spool.dropped();
    spool.commit(6);
    spool.report_drops(9);
    // Making room for the first notice cost alerts, too.
    assert_eq!(drop_counts(&mut spool), [before - 3]);
}

/// Audits of another process keep their numbers, and one that comes again is kept once.
#[test]
fn audits_of_others_are_kept_once() {
    let mut spool = spool(9);

    for seq in [3, 3, 1, 8] {
        spool.insert(draft(Effect::Alert, "a").numbered(seq));
    }

    assert_eq!(numbers(&mut spool), [3, 8]);
    assert_eq!((spool.give_up_alert(), spool.give_up_any(), spool.give_up_any()), (true, true, false));
    assert_eq!((spool.dropped(), spool.bytes()), (2, 0));
}

/// A message never gets larger than a frame, whatever the audits carry, and nothing is held up for ever.
#[test]
fn batches_fit_into_a_frame() {
    let mut spool = Spool::new(16 << 20);
    for _ in 0..20 {
        spool.push(draft(Effect::Alert, &"\u{1}".repeat(30_000)));
    }
    let mut sent = 0;

    loop {
        let audits = spool.next_batch(500);
        if audits.is_empty() {
            break;
        }
        sent += audits.len();
        let frame = crate::message::encode(&ToConsole::Audits { source: "0".repeat(32), container: None, audits });
        assert!(frame.len() <= crate::message::LARGEST_MESSAGE);
    }

    assert_eq!(sent, 20);
}

/// What happens to a spool.
#[derive(Debug, Clone)]
enum Act {
    Push(bool),
    Send(usize),
    Commit,
    Break,
    Report,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => any::<bool>().prop_map(Act::Push),
        2 => (1usize..5).prop_map(Act::Send),
        1 => Just(Act::Commit),
        1 => Just(Act::Break),
        1 => Just(Act::Report),
    ];
    prop::collection::vec(act, 0..80)
}

proptest! {
    /// Whatever happens, each audit is still held, or was sent and acknowledged, or is counted as given up; what is sent is
    /// in order; and the bound holds.
    #[test]
    fn no_audit_is_lost_silently(acts in acts(), limit in 2usize..8) {
        let mut spool = spool(limit);
        let (mut sent, mut committed) = (BTreeSet::new(), BTreeSet::new());
        for act in acts {
            match act {
                Act::Push(prevent) => push(&mut spool, &[if prevent { Effect::Prevent } else { Effect::Alert }]),
                Act::Send(most) => {
                    let numbers: Vec<u64> = spool.next_batch(most).iter().map(|audit| audit.seq).collect();
                    prop_assert!(numbers.is_sorted_by(|one, next| one < next));
                    sent.extend(numbers);
                }
                Act::Commit => {
                    committed.append(&mut sent);
                    spool.commit(committed.last().copied().unwrap_or(0));
                }
                Act::Break => spool.rewind(),
                Act::Report => spool.report_drops(1),
            }
            let held = spool.alerts.len() + spool.rest.len();
            prop_assert!(spool.bytes() <= spool.capacity);
            prop_assert!(held as u64 + committed.len() as u64 + spool.dropped() >= spool.last());
        }
    }
}

/// What happens to repeated audits and the spool behind it.
#[derive(Debug, Clone)]
enum Storm {
    Event { prevent: bool, name: u8 },
    Wait(u64),
    Commit(usize),
}

fn storms() -> impl Strategy<Value = Vec<Storm>> {
    let storm = prop_oneof![
        8 => (any::<bool>(), 0u8..12).prop_map(|(prevent, name)| Storm::Event { prevent, name }),
        1 => (0..2 * crate::repeats::WINDOW).prop_map(Storm::Wait),
        1 => (1usize..6).prop_map(Storm::Commit),
    ];
    prop::collection::vec(storm, 0..200)
}

proptest! {
    /// The sum of all counts and of what was given up is the number of events, and no prevention is given up while an alert
    /// is kept.
    #[test]
    fn every_event_is_counted_once(storms in storms(), limit in 2usize..12) {
        let (mut repeats, mut spool) = (crate::Repeats::default(), spool(limit));
        let (mut now, mut events, mut counted) = (0, 0, 0);
        for storm in storms.into_iter().chain([Storm::Wait(u64::MAX / 2), Storm::Commit(500)]) {
            let out = match storm {
                Storm::Event { prevent, name } => {
                    events += 1;
                    let effect = if prevent { Effect::Prevent } else { Effect::Alert };
                    repeats.take(draft(effect, &name.to_string()), now)
                }
                Storm::Wait(time) => {
                    now += time;
                    repeats.due(now)
                }
                Storm::Commit(most) => {
                    let audits = spool.next_batch(most);
                    spool.commit(audits.last().map_or(0, |audit| audit.seq));
                    counted += audits.iter().map(|audit| audit.count).sum::<u64>();
                    Vec::new()
                }
            };
            for one in out {
                let oldest_prevention = spool.rest.front().map(|held| held.audit.seq);
                spool.push_counted(one.draft, one.count);
                let kept = spool.rest.front().map(|held| held.audit.seq) == oldest_prevention || oldest_prevention.is_none();
                prop_assert!(kept || spool.alerts.is_empty());
            }
        }
        prop_assert_eq!(counted + spool.dropped(), events);
        prop_assert!(repeats.all().is_empty());
    }
}
