//! What is reported: one judged event. Field names are those of `contract/audit.schema.json`.
use serde::{Deserialize, Serialize};

use crate::{DefenderEvent, Effect, Event, Notice, bounds};

/// Why a policy objected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The program is on the deny list.
    DeniedProcess,
    /// There is an allow list, and the program is not on it.
    ProcessNotAllowed,
    /// The name is on the deny list.
    DeniedName,
    /// There is an allow list, and the name is not on it.
    NameNotAllowed,
    /// The address is on the deny list.
    DeniedAddress,
    /// There is an allow list of addresses, and this one is not on it.
    AddressNotAllowed,
    /// The port is on the deny list.
    DeniedPort,
    /// There is an allow list of ports, and this one is not on it.
    PortNotAllowed,
    /// A program of the image was changed since the workload started, and runs.
    ModifiedBinary,
    /// A program that is not of the image runs.
    NewBinary,
    /// A program differs from what its package installed.
    AlteredPackageBinary,
    /// A crypto miner runs.
    CryptoMiner,
    /// A shell whose input and output is a network connection.
    ReverseShell,
    /// A shell under a web server.
    WebShell,
    /// A program runs from a file system in memory.
    TmpfsProcess,
    /// A program runs that has no file.
    MemoryProcess,
    /// A program is run through the dynamic loader.
    LoaderInvocation,
    /// A program starts with foreign libraries loaded first.
    Preload,
    /// A program with setuid, setgid or file capabilities is used.
    SetuidUse,
    /// A tool for moving to other machines runs.
    LateralMovement,
    /// An interpreter runs code from its command line.
    InlineCode,
    /// A program runs beside the main one.
    NotMainProcess,
    /// Many ports or addresses are tried.
    PortScan,
    /// A raw or packet socket is opened.
    RawSocket,
    /// The cloud's metadata service is asked.
    CloudMetadata,
    /// A look-up goes round the Defender in encrypted form.
    EncryptedDns,
    /// A connection to an address that no allowed look-up gave.
    UnresolvedAddress,
    /// A connection exists that the Defender was not asked about.
    UnseenConnection,
    /// A port on the deny list is listened on.
    DeniedListenPort,
    /// A port that is not on the allow list is listened on.
    ListenPortNotAllowed,
    /// A path on the deny list is written.
    DeniedFile,
    /// A path that is not on the allow list is written.
    FileNotAllowed,
    /// A program is written.
    BinaryWritten,
    /// A certificate or key is written.
    CertificateWritten,
    /// What lets people in by SSH is changed.
    SshAccess,
    /// Accounts or their rights are changed.
    AdministrativeAccount,
    /// A program with a malformed or foreign header is written.
    SuspiciousElf,
    /// A packed or encrypted program is written.
    PackedBinary,
    /// What every program loads first is changed.
    PreloadFile,
    /// A scheduled task is changed.
    CronFile,
    /// A custom rule matched.
    CustomRule,
    /// A process came into the container from outside.
    InjectedProcess,
    /// The Defender was attacked.
    Tampering,
    /// The web application firewall had something to say of a request.
    Waas,
    /// A notice of the Defender about itself.
    Defender,
}

/// An audit before the spool has given it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDraft {
    /// Unix milliseconds.
    pub time: u64,
    /// Name of the rule that matched; none for notices.
    pub rule: Option<String>,
    /// What was done: `alert` or `prevent`.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    pub matched: Option<String>,
    /// What happened.
    pub event: Event,
    /// The processes that led to it, the nearest first.
    pub ancestry: Vec<Ancestor>,
}

/// One of the processes that led to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its process id, as the workload sees it.
    pub pid: u32,
    /// Its executable; empty when unknown.
    pub path: String,
}

/// A numbered audit, as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Counts from 1 for each Defender process; (source, seq) is unique.
    #[serde(deserialize_with = "bounds::sequence")]
    pub seq: u64,
    /// Unix milliseconds.
    #[serde(deserialize_with = "bounds::time")]
    pub time: u64,
    /// Name of the rule that matched; none for notices.
    #[serde(deserialize_with = "bounds::nullable")]
    pub rule: Option<String>,
    /// What was done: `alert` or `prevent`.
    #[serde(deserialize_with = "bounds::audited_effect")]
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    #[serde(deserialize_with = "bounds::nullable")]
    pub matched: Option<String>,
    /// What happened.
    pub event: Event,
    /// The processes that led to it, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestry: Vec<Ancestor>,
    /// How many times it happened since the last audit of its kind.
    #[serde(default = "bounds::one", skip_serializing_if = "bounds::is_one", deserialize_with = "bounds::sequence")]
    pub count: u64,
}

impl AuditDraft {
    /// The audit with its number.
    #[must_use]
    pub fn numbered(self, seq: u64) -> Audit {
        let Self { time, rule, effect, reason, matched, event, ancestry } = self;
        Audit { seq, time, rule, effect, reason, matched, event, ancestry, count: 1 }
    }

    /// A notice of the Defender about itself at `time`.
    #[must_use]
    pub fn notice(time: u64, notice: Notice, detail: impl Into<String>, count: u64) -> Self {
        let event = Event::Defender(DefenderEvent { notice, detail: detail.into(), count });
        Self {
            time,
            rule: None,
            effect: Effect::Alert,
            reason: Reason::Defender,
            matched: None,
            event,
            ancestry: Vec::new(),
        }
    }
}
