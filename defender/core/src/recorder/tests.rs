use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::{
    ConnectionEvent, DefenderEvent, FileEvent, FileOperation, ListenEvent, LookupEvent, Notice, ProcessEvent,
    ProcessFacts, Protocol,
};

fn lookup(name: &str) -> Event {
    Event::Lookup(LookupEvent { name: name.to_owned(), record_type: "A".into(), pid: 1, path: "/bin/app".into() })
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Raw)]
}

prop_compose! {
    fn processes()(
        (path, invoked, parent_path) in ("\\PC{0,40}", "\\PC{0,40}", "\\PC{0,40}"),
        arguments in prop::collection::vec("\\PC{0,20}", 0..5),
        (pid, parent_pid, user) in any::<(u32, u32, u32)>(),
        (main, interpreted, invoked_is_exe, same, hashed) in any::<(bool, bool, bool, bool, bool)>(),
    ) -> Event {
        let invoked = if same { path.clone() } else { invoked };
        let sha256 = hashed.then(|| "ab".repeat(32));
        let facts = ProcessFacts::default();
        Event::Process(ProcessEvent {
            path, invoked, arguments, pid, parent_pid, parent_path, user, main, interpreted, invoked_is_exe, sha256,
            facts,
        })
    }
}

prop_compose! {
    fn connections()(
        (protocol, address) in (protocols(), any::<IpAddr>()),
        (port, pid, path, resolver, listens) in (any::<u16>(), any::<u32>(), "\\PC{0,40}", any::<bool>(), any::<bool>()),
        domain in prop::option::of("[a-z.]{1,20}"),
    ) -> Event {
        if listens {
            Event::Listen(ListenEvent { protocol, address, port, pid, path })
        } else {
            Event::Connection(ConnectionEvent { protocol, address, port, pid, path, resolver, domain })
        }
    }
}

fn events() -> impl Strategy<Value = Event> {
    let operations = prop_oneof![Just(FileOperation::Create), Just(FileOperation::Attributes)];
    let files = (operations, "\\PC{0,40}", any::<(u32, u32)>(), "\\PC{0,40}")
        .prop_map(|(operation, file, (pid, user), path)| Event::File(FileEvent { operation, file, pid, path, user }));
    let notices = ("\\PC{0,40}", any::<u64>())
        .prop_map(|(detail, count)| Event::Defender(DefenderEvent { notice: Notice::NotEnforcing, detail, count }));
    prop_oneof![processes(), connections(), files, notices, "\\PC{0,40}".prop_map(|name| lookup(&name))]
}

fn judged() -> impl Strategy<Value = Option<Judged>> {
    let effects = prop_oneof![Just(Effect::Alert), Just(Effect::Prevent)];
    prop::option::of(effects.prop_map(|effect| Judged { effect, reason: Reason::CryptoMiner }))
}

/// Everything from number `after` on, fetched piece by piece.
fn everything(recorder: &Recorder, mut after: u64) -> Vec<Recorded> {
    let mut all = Vec::new();
    loop {
        let Chunk { first, events, .. } = recorder.chunk(after);
        if events.is_empty() {
            return all;
        }
        after = first + events.len() as u64 - 1;
        all.extend(events);
    }
}

proptest! {
    /// What is in the ring comes out as it went in, the newest whole and in order, and never more bytes than allowed.
    #[test]
    fn the_newest_events_come_back(
        events in prop::collection::vec((any::<u32>(), events(), judged()), 0..40), capacity in 0_usize..4000,
    ) {
        let mut recorder = Recorder::new(capacity);
        for (time, event, judged) in &events {
            recorder.record(u64::from(*time), event, *judged);
            prop_assert!(recorder.bytes() <= capacity);
        }
        let kept = everything(&recorder, 0);
        let expected: Vec<_> = events
            .iter()
            .map(|(time, event, judged)| Recorded { time: u64::from(*time), event: event.clone(), judged: *judged })
            .collect();
        // Events too large for the whole ring are left out, so the rest is a tail of a subsequence.
        let mut rest = expected.iter().rev();
        for each in kept.iter().rev() {
            prop_assert!(rest.any(|event| event == each));
        }
        if capacity == 4000 { prop_assert!(!kept.is_empty() || events.is_empty()); }
    }

    /// A chunk is never larger than a message may be, whatever is in it.
    #[test]
    fn chunks_are_bounded(name in "[\\x00-\\x1f\"]{1,1024}", count in 1_u64..6000) {
        let mut recorder = Recorder::new(1 << 20);
        for _ in 0..count {
            recorder.record(1, &lookup(&name), None);
        }
        let chunk = recorder.chunk(0);
        prop_assert!(chunk.events.len() <= MOST_RECORDED);
        prop_assert!(crate::message::encode(&chunk.events).len() <= CHUNK_BYTES + 2);
        prop_assert!(!chunk.events.is_empty());
    }
}

/// A reader that comes late sees by the numbers how much it missed, and goes on where it stopped.
#[test]
fn numbers_tell_what_is_gone() {
    let mut recorder = Recorder::new(200);
    for number in 0..100 {
        recorder.record(number, &lookup("name.test"), None);
    }
    let chunk = recorder.chunk(3);
    assert_eq!(recorder.newest(), 100);
    assert_eq!(chunk.newest, 100);
    assert!(chunk.first > 4);
    assert_eq!(chunk.first + chunk.events.len() as u64, 101);
    assert_eq!(chunk.events.last().map(|event| event.time), Some(99));
    assert_eq!(recorder.chunk(100), Chunk { first: 101, newest: 100, events: vec![] });
}

/// A text without end takes its share of the ring and no more.
#[test]
fn long_texts_are_cut() {
    let mut recorder = Recorder::new(64 << 10);
    recorder.record(1, &lookup(&"é".repeat(100_000)), None);
    assert!(recorder.bytes() < 2000);
    let Event::Lookup(kept) = &recorder.chunk(0).events[0].event else { panic!("no look-up") };
    assert_eq!(kept.name.len(), 1024);
}
