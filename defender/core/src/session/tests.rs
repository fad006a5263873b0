use super::*;
use crate::{
    Effect,
    message::{Batch, Kind, Workload},
    spool::tests::{draft, instance, spools},
};

fn hello() -> Hello {
    Hello {
        protocol: 1,
        instance: instance(1),
        kind: Kind::AppEmbedded,
        app_id: "shop".into(),
        version: "0".into(),
        architecture: "amd64".into(),
        hostname: "h".into(),
        task: None,
        workloads: vec![Workload { container: None, image: None }],
    }
}

fn welcome(max_batch: usize) -> ConsoleMessage {
    ConsoleMessage::Welcome { server_time: 1, heartbeat_seconds: 30, max_batch }
}

fn status(tier: u8) -> Vec<WorkloadStatus> {
    let (container, policy_hash) = (None, None);
    vec![WorkloadStatus { container, instance: instance(1), policy_hash, tier, tier_reasons: vec![], dropped: 0 }]
}

fn open(spools: &mut Spools, max_batch: usize) -> Session {
    let (mut session, _) = Session::begin(hello(), spools);
    session.receive(welcome(max_batch));
    session
}

/// The audits' numbers in the messages that the session sends until it has nothing to say.
fn sent(session: &mut Session, spools: &mut Spools) -> Vec<Vec<u64>> {
    let messages = std::iter::from_fn(|| session.next_message(0, spools, &[]));
    let numbers = |message| match message {
        DefenderMessage::Audits(Batch { audits, .. }) => Some(audits.iter().map(|audit| audit.seq).collect()),
        _ => None,
    };
    messages.filter_map(numbers).collect()
}

/// The hello comes first, and nothing goes out before the welcome.
#[test]
fn nothing_before_the_welcome() {
    let mut spools = spools(10);
    spools.push(&instance(1), draft(Effect::Alert, "a"));
    let (mut session, first) = Session::begin(hello(), &mut spools);

    assert_eq!(first, DefenderMessage::Hello(hello()));
    assert_eq!(session.next_message(0, &mut spools, &status(1)), None);
    assert_eq!(session.receive(welcome(5)), Step::Open { heartbeat_seconds: 30 });
    assert_eq!(sent(&mut session, &mut spools), [[1]]);
}

/// Batches are no larger than the Console wants, and the next ones wait for acknowledgements.
#[test]
fn batches_wait_for_acknowledgements() {
    let mut spools = spools(100);
    for _ in 0..10 {
        spools.push(&instance(1), draft(Effect::Alert, "a"));
    }
    let mut session = open(&mut spools, 2);

    assert_eq!(sent(&mut session, &mut spools), [[1, 2], [3, 4], [5, 6], [7, 8]]);
    let step = session.receive(ConsoleMessage::Ack { source: instance(1), committed: 2 });

    assert_eq!(step, Step::Committed { source: instance(1), committed: 2 });
    assert_eq!(sent(&mut session, &mut spools), [[9, 10]]);
}

/// A new connection sends again what is not committed, and only that.
#[test]
fn a_reconnect_sends_the_uncommitted_again() {
    let mut spools = spools(100);
    for _ in 0..4 {
        spools.push(&instance(1), draft(Effect::Alert, "a"));
    }
    let mut session = open(&mut spools, 2);
    sent(&mut session, &mut spools);
    session.receive(ConsoleMessage::Ack { source: instance(1), committed: 2 });
    spools.commit(&instance(1), 2);

    let mut session = open(&mut spools, 500);

    assert_eq!(sent(&mut session, &mut spools), [[3, 4]]);
}

/// The state is reported on every connection, then only when it has changed, and at most once a second.
#[test]
fn only_the_latest_state_is_reported() {
    let mut spools = spools(10);
    let mut session = open(&mut spools, 5);
    let mut tell = |now, tier| session.next_message(now, &mut spools, &status(tier)).is_some();

    assert!(tell(0, 1));
    assert!(!tell(5000, 1));
    assert!(tell(5000, 2));
    assert!(!tell(5999, 3));
    assert!(tell(6000, 3));
}

/// Refusals end the session with what the Console said; nonsense is ignored.
#[test]
fn refusals_end_the_session() {
    let mut spools = spools(10);
    let mut session = open(&mut spools, 5);

    let refusal =
        ConsoleMessage::Error { code: ErrorCode::Revoked, message: "no".into(), retry_after_seconds: Some(5) };
    let enrolled = ConsoleMessage::Enrolled { certificate: String::new(), ca: String::new(), not_after: 0 };

    assert_eq!(session.receive(enrolled), Step::Ignore);
    let end = Step::End { code: ErrorCode::Revoked, message: "no".into(), retry_after: Some(5) };
    assert_eq!(session.receive(refusal), end);
}
