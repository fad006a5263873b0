//! What the workload did: the values that a policy judges. Field names are those of `contract/audit.schema.json`.
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::bounds;

/// One thing that the workload is about to do, or that the Defender itself has to report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Event {
    /// A program is about to run its first instruction.
    Process(ProcessEvent),
    /// A name is about to be looked up.
    Lookup(LookupEvent),
    /// A connection is about to be made, or a datagram to be sent.
    Connection(ConnectionEvent),
    /// A port is about to be listened on.
    Listen(ListenEvent),
    /// A file is about to be written, or was.
    File(FileEvent),
    /// A request came from outside.
    Request(Box<RequestEvent>),
    /// Something that happened to the Defender.
    Defender(DefenderEvent),
}

/// A program start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessEvent {
    /// Resolved absolute path of the executable that the kernel loaded (`/proc/PID/exe`).
    pub path: String,
    /// The path that was passed to execve (made absolute), for a script the script's.
    pub invoked: String,
    /// The argument vector, scrubbed of secrets and capped before it is reported.
    pub arguments: Vec<String>,
    /// Process id as the workload sees it.
    pub pid: u32,
    /// Parent process id.
    pub parent_pid: u32,
    /// Executable path of the parent; empty when unknown.
    pub parent_path: String,
    /// Effective user id.
    pub user: u32,
    /// True for the first program of the workload, the one that the Defender starts.
    pub main: bool,
    /// True when the kernel loaded an interpreter for a `#!` script at `invoked`.
    pub interpreted: bool,
    /// True when `invoked` is, or links to, the very file at `path`.
    pub invoked_is_exe: bool,
    /// Lower-case hexadecimal SHA-256 of the file; none when nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What detections go by; never travels.
    #[serde(skip)]
    pub facts: ProcessFacts,
}

/// What the Defender found out about a program start, for detections and custom rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Where the program comes from.
    pub origin: Origin,
    /// Whether its file was made or changed since the workload started.
    pub change: Change,
    /// The program that the dynamic loader was told to run, when the loader itself was started.
    pub loaded: Option<String>,
    /// Variables and files that make foreign libraries load first (`LD_PRELOAD`, `LD_AUDIT`), as `NAME=value`.
    pub preloads: Vec<String>,
    /// True for a file with setuid, setgid or capabilities.
    pub privileged: bool,
    /// True when input or output is a connection to another machine.
    pub socket_as_terminal: bool,
    /// Executables of the processes above it, the nearest first.
    pub ancestors: Vec<String>,
    /// SHA-256 of the script, for an interpreted one, when the policy wants hashes.
    pub script_sha256: Option<String>,
    /// SHA-256 of the program in `loaded`, when the policy wants hashes.
    pub loaded_sha256: Option<String>,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// An ordinary file.
    #[default]
    File,
    /// A file on a file system in memory (tmpfs, ramfs).
    Tmpfs,
    /// A file that has no name any more.
    Deleted,
    /// A file that never had one (`memfd_create`).
    Memory,
}

/// Whether a file was made or changed since the workload started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    #[default]
    None,
    /// It was changed, or replaced.
    Modified,
    /// It was not there.
    New,
    /// It differs from what its package installed.
    Altered,
}

/// A port that is about to be listened on, or bound for datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenEvent {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address that is bound, IPv4-mapped IPv6 already made IPv4.
    pub address: IpAddr,
    /// Port; 0 when the kernel chooses one.
    pub port: u16,
    /// The process.
    pub pid: u32,
    /// Its executable path; empty when unknown.
    pub path: String,
}

/// A write to a file, or to its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEvent {
    /// What is done.
    pub operation: FileOperation,
    /// The file, absolute and without links.
    pub file: String,
    /// The process.
    pub pid: u32,
    /// Its executable path; empty when unknown.
    pub path: String,
    /// Effective user id of the process.
    pub user: u32,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileOperation {
    /// It is made.
    Create,
    /// It is opened for writing, or truncated.
    Write,
    /// Its name is given to another file, or another name to it (rename, link).
    Rename,
    /// It is removed.
    Remove,
    /// Its mode or owner is changed.
    Attributes,
}

/// A DNS look-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupEvent {
    /// The name asked for, lower-case, without trailing dot.
    pub name: String,
    /// The record type as text (`A`, `AAAA`, `TYPE65`).
    pub record_type: String,
    /// The asking process; 0 when unknown.
    pub pid: u32,
    /// Executable path of the asking process; empty when unknown.
    pub path: String,
}

/// A TCP connection or a UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionEvent {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination, IPv4-mapped IPv6 already made IPv4.
    pub address: IpAddr,
    /// Destination port.
    pub port: u16,
    /// The connecting process.
    pub pid: u32,
    /// Its executable path; empty when unknown.
    pub path: String,
    /// True when the destination is a resolver whose traffic passes the Defender's own DNS proxy.
    pub resolver: bool,
    /// The name whose look-up gave the address; none when no look-up did, or was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Transport protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Packets of no transport protocol that the Defender reads (raw and packet sockets).
    Raw,
}

/// A request that the web application firewall has something to say of. Whatever proves who somebody is was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestEvent {
    /// The application within the policy's rule.
    pub application: String,
    /// The kind of attack: `sqli`, `malformedRequest`, …
    #[serde(rename = "type")]
    pub attack: String,
    /// Which part of the policy: `firewall`, `accessControl`, `bot`, `dos`, `custom`, `api`.
    pub protection: String,
    /// What was seen, for people.
    pub message: String,
    /// Where.
    pub field: RequestField,
    /// The number that the block page showed.
    pub event_id: String,
    /// The method.
    pub method: String,
    /// Scheme, host and path.
    pub url: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// The host asked for.
    pub host: String,
    /// The header fields as they came, up to 4 KiB.
    pub headers: String,
    /// Their names.
    pub header_names: Vec<String>,
    /// Names of the response's header fields.
    pub response_header_names: Vec<String>,
    /// Status of the response; none when there was none.
    pub status: Option<u16>,
    /// The client's program, as it says.
    pub user_agent: String,
    /// The client, as the first proxy saw it.
    pub address: String,
    /// The client and all proxies, the nearest last.
    pub peers: Vec<String>,
    /// The client's country, where it is known.
    pub country: Option<String>,
    /// The firewall's rules that matched.
    pub rules: Vec<u32>,
    /// What their matches came to.
    pub score: i64,
}

/// A place within a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestField {
    /// `queryValues`, `cookie`, `header`, `body`, …
    #[serde(rename = "type")]
    pub place: String,
    /// Its name there.
    pub key: String,
    /// Its value, shortened.
    pub value: String,
}

/// A notice of the Defender about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefenderEvent {
    /// What happened.
    pub notice: Notice,
    /// One sentence for people.
    pub detail: String,
    /// How many times, or how many things, where that means something.
    #[serde(deserialize_with = "bounds::count")]
    pub count: u64,
}

/// Kinds of notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Notice {
    /// The application was started before any policy could be had (fail mode `open`).
    StartedWithoutPolicy,
    /// The spool was full: `count` audits were given up.
    AuditsDropped,
    /// The platform allows no enforcement; `detail` says why.
    NotEnforcing,
    /// Somebody tried to attach to the relay as a container that they are not.
    AttachRefused,
    /// A call waited too long for an answer and was given one without being judged.
    AnsweredLate,
    /// Something of the Defender was changed from inside the workload.
    Attacked,
    /// A port is listened on that does not stand behind the firewall.
    UnprotectedPort,
}
