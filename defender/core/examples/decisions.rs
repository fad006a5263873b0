//! Prints how long a decision takes, by kind of event and by length of the lists.
//!
//! `cargo run --release -p defender-core --example decisions` prints a line `KIND ENTRIES NANOSECONDS` for each; the
//! promise is at most 2,000 at 1,000 entries, and no growth with their number.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a measuring program reads the clock")]
use std::{hint::black_box, time::Instant};

use defender_core::{
    CompiledPolicy, ConnectionEvent, CustomEffect, CustomKind, CustomRule, DefenderPolicy, DnsPolicy, Effect, Event,
    FileEvent, FileOperation, FilePolicy, LookupEvent, NetworkPolicy, PortRange, ProcessEvent, ProcessFacts,
    ProcessPolicy, Protocol, Reason, decide,
};

const SIZES: [usize; 3] = [10, 1_000, 50_000];

fn main() {
    println!("{:<28} {:>8} {:>8}", "event", "entries", "ns");
    for entries in SIZES {
        let policy = CompiledPolicy::new(lists(entries)).unwrap();
        for (kind, event) in events() {
            report(kind, entries, &policy, &event);
        }
    }
    for entries in SIZES {
        let policy = CompiledPolicy::new(custom(entries)).unwrap();
        report("custom rules", entries, &policy, &program());
    }
}

/// The best of many short runs, since others use the machine too.
fn report(kind: &str, entries: usize, policy: &CompiledPolicy, event: &Event) {
    const TIMES: u32 = 1_000;
    let run = || {
        let start = Instant::now();
        for _ in 0..TIMES {
            black_box(decide(black_box(policy), black_box(event)));
        }
        start.elapsed().as_nanos() / u128::from(TIMES)
    };
    let best = (0..100).map(|_| run()).min().unwrap_or_default();
    println!("{kind:<28} {entries:>8} {best:>8}");
}

/// Names, paths, starts, ends and middles, none of which is what the events are about, and all detections.
fn lists(entries: usize) -> DefenderPolicy {
    let of = |make: fn(usize) -> String| (0..entries).map(make).collect::<Vec<_>>();
    let programs = of(|at| match at % 5 {
        0 => format!("tool-{at}"),
        1 => format!("/opt/vendor/bin/tool-{at}"),
        2 => format!("tool-{at}-*"),
        3 => format!("/srv/*/bin/tool-{at}"),
        _ => format!("sha256:{at:064x}"),
    });
    let names = of(|at| if at % 2 == 0 { format!("*.host-{at}.example") } else { format!("host-{at}.example") });
    let blocks = of(|at| format!("10.{}.{}.0/24", at / 256 % 256, at % 256));
    let paths = of(|at| if at % 2 == 0 { format!("/srv/app-{at}") } else { format!("/srv/*/secrets-{at}") });
    let ports =
        (0..entries).map(|at| PortRange { start: 10_000 + at as u16 / 2, end: 10_000 + at as u16 / 2 }).collect();
    let detections = Reason::ALL.into_iter().map(|reason| (reason, Effect::Alert)).collect();
    DefenderPolicy {
        version: 1,
        rule: Some("shop".to_owned()),
        processes: ProcessPolicy { effect: Effect::Prevent, allow: vec!["*".to_owned()], deny: programs },
        dns: DnsPolicy { effect: Effect::Prevent, deny: names, ..DnsPolicy::default() },
        network: NetworkPolicy {
            effect: Effect::Prevent,
            deny_addresses: blocks,
            deny_ports: ports,
            ..NetworkPolicy::default()
        },
        files: FilePolicy { effect: Effect::Prevent, deny: paths, ..FilePolicy::default() },
        detections,
        ..DefenderPolicy::default()
    }
}

fn custom(entries: usize) -> DefenderPolicy {
    let rule = |at| CustomRule {
        name: format!("rule {at}"),
        kind: CustomKind::Processes,
        script: format!("proc.name = \"tool-{at}\" and proc.user = 0 and not proc.cmdline contains \"--version\""),
        effect: CustomEffect::Prevent,
    };
    DefenderPolicy {
        version: 1,
        rule: Some("shop".to_owned()),
        custom: (0..entries).map(rule).collect(),
        ..DefenderPolicy::default()
    }
}

fn events() -> [(&'static str, Event); 4] {
    let path = || "/usr/bin/python3.11".to_owned();
    let lookup =
        LookupEvent { name: "s3.eu-central-1.amazonaws.com".into(), record_type: "A".into(), pid: 12, path: path() };
    let connection = ConnectionEvent {
        protocol: Protocol::Tcp,
        address: [203, 0, 113, 9].into(),
        port: 443,
        pid: 12,
        path: path(),
        resolver: false,
        domain: None,
    };
    let file = FileEvent {
        operation: FileOperation::Write,
        file: "/var/lib/app/cache/objects/4f/0a1b2c3d4e5f".into(),
        pid: 12,
        path: path(),
        user: 1000,
    };
    [
        ("program start", program()),
        ("look-up", Event::Lookup(lookup)),
        ("connection", Event::Connection(connection)),
        ("file", Event::File(file)),
    ]
}

fn program() -> Event {
    let arguments = ["convert", "-resize", "128x128", "/tmp/upload-12.png", "/var/cache/thumbs/12.png"];
    Event::Process(ProcessEvent {
        path: "/usr/bin/convert-im6.q16".into(),
        invoked: "/usr/bin/convert".into(),
        arguments: arguments.map(str::to_owned).to_vec(),
        pid: 12,
        parent_pid: 8,
        parent_path: "/usr/bin/python3.11".into(),
        user: 1000,
        main: true,
        interpreted: false,
        invoked_is_exe: true,
        sha256: Some("ab".repeat(32)),
        facts: ProcessFacts {
            ancestors: vec!["/usr/bin/python3.11".into(), "/sbin/init".into()],
            ..ProcessFacts::default()
        },
    })
}
