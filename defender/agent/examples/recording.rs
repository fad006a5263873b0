//! Prints what keeping an event for forensics and learning costs the supervisor, by kind of event.
//!
//! `cargo run --release -p defender --example recording` prints a line `EVENT NANOSECONDS` for each; what is promised is
//! about a microsecond, and for a program start, whose arguments are scrubbed, a few.
#![allow(clippy::disallowed_methods, reason = "a measuring program reads the clock")]
use std::{hint::black_box, net::Ipv4Addr, time::Instant};

use defender_agent::recorder::{RECORD_BYTES, Record};
use defender_core::{ConnectionEvent, Event, LookupEvent, ProcessEvent, ProcessFacts, Protocol};

fn main() {
    let record = Record::new(RECORD_BYTES);
    for (name, event) in events() {
        println!("{name:<12} {:>6}", best(|time| record.take(time, black_box(&event), None)));
    }
}

/// The best of many short runs, since others use the machine too.
fn best(mut act: impl FnMut(u64)) -> u128 {
    const TIMES: u64 = 1_000;
    let mut run = || {
        let start = Instant::now();
        (0..TIMES).for_each(&mut act);
        start.elapsed().as_nanos() / u128::from(TIMES)
    };
    (0..100).map(|_| run()).min().unwrap_or_default()
}

fn events() -> [(&'static str, Event); 3] {
    let path = "/usr/local/bin/python3.11".to_owned();
    let process = ProcessEvent {
        path: path.clone(),
        invoked: path.clone(),
        arguments: ["python3", "-m", "shop.worker", "--queue", "orders"].map(str::to_owned).to_vec(),
        pid: 1234,
        parent_pid: 8,
        parent_path: path.clone(),
        user: 1000,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: None,
        facts: ProcessFacts::default(),
    };
    let name = "orders.eu-central-1.example.test".to_owned();
    let lookup = LookupEvent { name, record_type: "AAAA".into(), pid: 1234, path };
    let connection = ConnectionEvent {
        protocol: Protocol::Tcp,
        address: Ipv4Addr::new(10, 0, 7, 12).into(),
        port: 5432,
        pid: 1234,
        path: String::new(),
        resolver: false,
        domain: None,
    };
    [
        ("process", Event::Process(process)),
        ("look-up", Event::Lookup(lookup)),
        ("connection", Event::Connection(connection)),
    ]
}
