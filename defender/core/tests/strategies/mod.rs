//! Policies and events that nobody thought of, close enough to each other that entries match.
use std::net::{IpAddr, Ipv6Addr};

use defender_core::{
    Change, ConnectionEvent, DefenderPolicy, DnsPolicy, Effect, Event, FileEvent, FileOperation, FilePolicy,
    ListenEvent, LookupEvent, NetworkPolicy, Origin, PortRange, ProcessEvent, ProcessFacts, ProcessPolicy, Protocol,
    Reason,
};
use proptest::prelude::*;

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::Disable), Just(Effect::Alert), Just(Effect::Prevent)]
}

/// One of a few digests, so that some are met again.
fn digests() -> impl Strategy<Value = String> {
    prop::sample::select(&["a", "b", "c"]).prop_map(|digit| digit.repeat(64))
}

/// Texts of a few pieces. Put together by hand, since strategies from regular expressions take their time.
fn pieced(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..=most).prop_map(|pieces| pieces.concat())
}

fn globs() -> impl Strategy<Value = Vec<String>> {
    let glob = prop_oneof![
        pieced(&["a", "b", "c", "/", ".", "*", "?", "é", "𝄞"], 6),
        pieced(&["a", "b", "/a", "/", "/*"], 3),
        pieced(&["a", "b", "c"], 3),
    ];
    prop::collection::vec(glob, 0..6)
}

fn programs() -> impl Strategy<Value = Vec<String>> {
    (globs(), prop::collection::vec(digests().prop_map(|digest| format!("sha256:{digest}")), 0..2))
        .prop_map(|(globs, digests)| globs.into_iter().chain(digests).collect())
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    let near = (0u8..4, 24u8..=32).prop_map(|(last, prefix)| format!("203.0.113.{last}/{prefix}"));
    let block = prop_oneof![
        any::<IpAddr>().prop_map(|address| address.to_string()),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(bytes, prefix)| format!("{}/{prefix}", IpAddr::from(bytes))),
        (any::<[u8; 16]>(), 0u8..=128).prop_map(|(bytes, prefix)| format!("{}/{prefix}", IpAddr::from(bytes))),
        near,
        Just("127.0.0.1".to_owned()),
    ];
    prop::collection::vec(block, 0..5)
}

fn destinations() -> impl Strategy<Value = IpAddr> {
    let near = (0u8..4).prop_map(|last| IpAddr::from([203, 0, 113, last]));
    let known = [[0, 0, 0, 0], [127, 0, 0, 1], [169, 254, 169, 254], [1, 1, 1, 1]].map(IpAddr::from);
    let known = known.into_iter().chain([Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()]);
    prop_oneof![any::<IpAddr>(), near, prop::sample::select(known.collect::<Vec<_>>())]
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range = prop_oneof![(any::<u16>(), any::<u16>()), (0u16..9, 0u16..9)];
    let range = range.prop_map(|(one, other)| PortRange { start: one.min(other), end: one.max(other) });
    prop::collection::vec(range, 0..4)
}

fn detections() -> impl Strategy<Value = std::collections::BTreeMap<Reason, Effect>> {
    prop::collection::btree_map(prop::sample::select(&Reason::ALL), effects(), 0..12)
}

prop_compose! {
    /// Policies with lists in every section, and detections.
    pub fn policies()(
        rule in prop::option::of("[a-z]{0,4}"),
        effects in [effects(), effects(), effects(), effects()],
        programs in [programs(), programs()],
        globs in [globs(), globs(), globs(), globs()],
        addresses in [addresses(), addresses()],
        ports in [ports(), ports(), ports(), ports()],
        detections in detections(),
    ) -> DefenderPolicy {
        let [allow, deny] = programs;
        let [allow_names, deny_names, allow_files, deny_files] = globs;
        let [allow_addresses, deny_addresses] = addresses;
        let [allow_ports, deny_ports, allow_listen_ports, deny_listen_ports] = ports;
        DefenderPolicy {
            version: 1,
            revision: 1,
            rule,
            processes: ProcessPolicy { effect: effects[0], allow, deny },
            dns: DnsPolicy { effect: effects[1], allow: allow_names, deny: deny_names },
            network: NetworkPolicy {
                effect: effects[2],
                allow_addresses,
                deny_addresses,
                allow_ports,
                deny_ports,
                allow_listen_ports,
                deny_listen_ports,
                unresolved_private: false,
            },
            files: FilePolicy { effect: effects[3], allow: allow_files, deny: deny_files },
            detections,
            custom: Vec::new(),
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => pieced(&["a", "b", "c", "/", "/a", ".", "é", "𝄞"], 5),
        1 => prop::sample::select(&["xmrig", "/dev/tcp/a", "bash", "-c", "busybox"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

prop_compose! {
    fn facts()(
        loaded in prop::option::weighted(0.2, texts()),
        hashes in [prop::option::of(digests()), prop::option::of(digests())],
        flags in any::<[bool; 2]>(),
        origin in prop::sample::select(&[Origin::File, Origin::Tmpfs, Origin::Deleted, Origin::Memory]),
        change in prop::sample::select(&[Change::None, Change::Modified, Change::New, Change::Altered]),
        preloads in prop::collection::vec(texts(), 0..2),
        ancestors in prop::collection::vec(prop_oneof![texts(), Just("/usr/sbin/nginx".to_owned())], 0..3),
    ) -> ProcessFacts {
        let [script_sha256, loaded_sha256] = hashes;
        let [privileged, socket_as_terminal] = flags;
        ProcessFacts {
            origin, change, loaded, preloads, privileged, socket_as_terminal, ancestors, script_sha256, loaded_sha256,
        }
    }
}

prop_compose! {
    fn starts()(
        path in texts(), invoked in texts(), arguments in prop::collection::vec(texts(), 0..4),
        flags in any::<[bool; 3]>(), sha256 in prop::option::of(digests()), facts in facts(),
        removed in prop::bool::weighted(0.1),
    ) -> Event {
        let [main, interpreted, invoked_is_exe] = flags;
        let path = if removed { path + " (deleted)" } else { path };
        let parent_path = String::new();
        let (pid, parent_pid, user) = (1, 1, 0);
        Event::Process(ProcessEvent {
            path, invoked, arguments, pid, parent_pid, parent_path, user, main, interpreted, invoked_is_exe, sha256, facts,
        })
    }
}

fn protocols() -> impl Strategy<Value = Protocol> {
    prop::sample::select(&[Protocol::Tcp, Protocol::Udp])
}

/// Events of every kind.
pub fn events() -> impl Strategy<Value = Event> {
    let lookup = texts()
        .prop_map(|name| Event::Lookup(LookupEvent { name, record_type: "A".into(), pid: 1, path: String::new() }));
    let port = || prop_oneof![any::<u16>(), 0u16..9, prop::sample::select(&[80u16, 443, 853])];
    let connection =
        (protocols(), destinations(), port(), any::<bool>()).prop_map(|(protocol, address, port, resolver)| {
            Event::Connection(ConnectionEvent {
                protocol,
                address,
                port,
                pid: 1,
                path: String::new(),
                resolver,
                domain: None,
            })
        });
    let listen = (protocols(), destinations(), port()).prop_map(|(protocol, address, port)| {
        Event::Listen(ListenEvent { protocol, address, port, pid: 1, path: String::new() })
    });
    let known = prop::sample::select(&["/root/.ssh/authorized_keys", "/etc/passwd", "/etc/cron.d/a.pem"]);
    let file = prop_oneof![texts(), known.prop_map(str::to_owned)].prop_map(|file| {
        Event::File(FileEvent { operation: FileOperation::Write, file, pid: 1, path: String::new(), user: 0 })
    });
    prop_oneof![starts(), lookup, connection, listen, file]
}
