use super::*;
use crate::{Effect, LookupEvent, Notice, ProcessEvent, ProcessFacts, Reason};

fn lookup(effect: Effect, name: &str, pid: u32) -> AuditDraft {
    let event = LookupEvent { name: name.into(), record_type: "A".into(), pid, path: String::new() };
    AuditDraft {
        time: u64::from(pid),
        rule: Some("shop".into()),
        effect,
        reason: Reason::DeniedName,
        matched: Some("*".into()),
        event: Event::Lookup(event),
        ancestry: Vec::new(),
    }
}

fn counts(out: &[Counted]) -> Vec<u64> {
    out.iter().map(|counted| counted.count).collect()
}

/// The first goes out at once, the others with the end of the window, and what ends is told by the latest of them.
#[test]
fn equal_audits_become_one() {
    let mut repeats = Repeats::default();

    assert_eq!([1], *counts(&repeats.take(lookup(Effect::Alert, "a", 1), 0)));
    for pid in 2..=5 {
        assert!(repeats.take(lookup(Effect::Alert, "a", pid), 10).is_empty());
    }
    assert_eq!([1], *counts(&repeats.take(lookup(Effect::Alert, "b", 1), 20)));
    assert!(repeats.due(WINDOW - 1).is_empty());

    let due = repeats.due(WINDOW);
    assert_eq!([Counted { draft: lookup(Effect::Alert, "a", 5), count: 4 }], *due);
    assert!(repeats.take(lookup(Effect::Alert, "a", 6), WINDOW + 1).is_empty(), "a storm goes on in the next window");
    assert_eq!([1], *counts(&repeats.all()));
    assert_eq!(None, repeats.next_end());
}

fn start(argument: &str) -> AuditDraft {
    let event = ProcessEvent {
        path: "/usr/bin/id".into(),
        invoked: "/usr/bin/id".into(),
        arguments: vec!["id".into(), argument.into()],
        pid: 7,
        parent_pid: 1,
        parent_path: String::new(),
        user: 0,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: None,
        facts: ProcessFacts::default(),
    };
    AuditDraft { event: Event::Process(event), ..lookup(Effect::Alert, "a", 1) }
}

/// The same program with other arguments goes out in full, once for each, but not for ever.
#[test]
fn a_few_variants_go_out_in_full() {
    let mut repeats = Repeats::default();
    let out = |repeats: &mut Repeats, argument: usize| repeats.take(start(&argument.to_string()), 0).len();

    assert_eq!(MOST_VARIANTS, (0..MOST_VARIANTS).map(|argument| out(&mut repeats, argument)).sum::<usize>());
    assert_eq!(0, (0..10 * MOST_VARIANTS).map(|argument| out(&mut repeats, argument)).sum::<usize>());
    assert_eq!([10 * MOST_VARIANTS as u64], *counts(&repeats.due(WINDOW)));
}

/// A quiet kind is forgotten, so that its next audit goes out at once.
#[test]
fn a_quiet_kind_is_forgotten() {
    let mut repeats = Repeats::default();
    repeats.take(lookup(Effect::Alert, "a", 1), 0);

    assert!(repeats.due(WINDOW).is_empty());
    assert_eq!([1], *counts(&repeats.take(lookup(Effect::Alert, "a", 2), WINDOW)));
}

/// What was prevented is never counted with what was only reported, nor are notices about the Defender with each other.
#[test]
fn different_things_stay_apart() {
    let mut repeats = Repeats::default();
    let notice = AuditDraft::notice(1, Notice::AnsweredLate, "late", 1);

    for draft in [lookup(Effect::Alert, "a", 1), lookup(Effect::Prevent, "a", 1), notice.clone(), notice] {
        assert_eq!([1], *counts(&repeats.take(draft, 0)));
    }
}

/// However many kinds there are, few are remembered.
#[test]
fn memory_is_bounded() {
    let mut repeats = Repeats::default();
    for name in 0..10 * MOST_KINDS {
        repeats.take(lookup(Effect::Alert, &name.to_string(), 1), 0);
        assert!(repeats.kinds.len() <= MOST_KINDS && repeats.ends.len() == repeats.kinds.len());
    }
}
