//! What follows from one event alone: each detection looks at it and names the mark that gave it away.
//!
//! A mark is a fixed word, a name or a path, never a whole argument: arguments may hold secrets.
use std::net::IpAddr;

use crate::{Change, ConnectionEvent, Origin, ProcessEvent, Reason, policy::base_name};

mod destinations;
mod inline;
mod miners;
mod names;
mod paths;
mod shells;
mod tools;
mod words;

/// What gave an event away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    /// The fact itself is all that there is to say.
    Fact,
    /// A word.
    Word(&'a str),
}

impl Mark<'_> {
    /// Longer marks are cut: paths come from the workload.
    const LONGEST: usize = 512;

    /// As `matched` of a violation.
    pub(crate) fn into_matched(self) -> Option<String> {
        match self {
            Self::Fact => None,
            Self::Word(word) => Some(word.chars().take(Self::LONGEST).collect()),
        }
    }
}

/// True for the reasons that [`program_start`] knows.
pub(crate) fn judges_program_start(reason: Reason) -> bool {
    use Reason::{
        AlteredPackageBinary, CryptoMiner, InlineCode, LateralMovement, LoaderInvocation, MemoryProcess,
        ModifiedBinary, NewBinary, NotMainProcess, Preload, ReverseShell, SetuidUse, TmpfsProcess, WebShell,
    };
    matches!(
        reason,
        CryptoMiner
            | ReverseShell
            | WebShell
            | TmpfsProcess
            | MemoryProcess
            | LoaderInvocation
            | Preload
            | SetuidUse
            | LateralMovement
            | InlineCode
            | NotMainProcess
            | ModifiedBinary
            | NewBinary
            | AlteredPackageBinary
    )
}

/// Whether a program start is what a reason is about, and what gave it away.
pub(crate) fn program_start(reason: Reason, process: &ProcessEvent) -> Option<Mark<'_>> {
    let facts = &process.facts;
    let fact = |holds: bool| holds.then_some(Mark::Fact);
    match reason {
        Reason::CryptoMiner => miners::mark(process).map(Mark::Word),
        Reason::ReverseShell => shells::reverse(process).map(Mark::Word),
        Reason::WebShell => shells::web(process).map(Mark::Word),
        Reason::TmpfsProcess => fact(facts.origin == Origin::Tmpfs),
        Reason::MemoryProcess => fact(matches!(facts.origin, Origin::Memory | Origin::Deleted)),
        Reason::LoaderInvocation => facts.loaded.as_deref().map(Mark::Word),
        Reason::Preload => facts.preloads.first().map(|preload| Mark::Word(preload)),
        Reason::SetuidUse => facts.privileged.then(|| Mark::Word(base_name(process.program()))),
        Reason::LateralMovement => tools::mark(process).map(Mark::Word),
        Reason::InlineCode => inline::mark(process).map(Mark::Word),
        Reason::NotMainProcess => fact(!process.main),
        Reason::ModifiedBinary => fact(facts.change == Change::Modified),
        Reason::NewBinary => fact(facts.change == Change::New),
        Reason::AlteredPackageBinary => fact(facts.change == Change::Altered),
        _ => None,
    }
}

/// True for the reasons that [`destination`] and [`lookup`] know.
pub(crate) fn judges_destination(reason: Reason) -> bool {
    matches!(reason, Reason::CloudMetadata | Reason::EncryptedDns)
}

/// Whether a connection to an address, in the form that the kernel will use, is what a reason is about.
pub(crate) fn destination(reason: Reason, address: IpAddr, connection: &ConnectionEvent) -> Option<&'static str> {
    match reason {
        Reason::CloudMetadata => destinations::metadata(address, connection.port),
        Reason::EncryptedDns if !connection.resolver => destinations::encrypted_dns(address, connection.port),
        _ => None,
    }
}

/// Whether a look-up of a name, in the form in which names are compared, is what a reason is about.
pub(crate) fn lookup(reason: Reason, name: &str) -> Option<&'static str> {
    match reason {
        Reason::CloudMetadata => destinations::metadata_name(name),
        Reason::EncryptedDns => destinations::resolver_name(name),
        _ => None,
    }
}

/// True for the reasons that [`path`] knows.
pub(crate) fn judges_path(reason: Reason) -> bool {
    use Reason::{AdministrativeAccount, CertificateWritten, CronFile, PreloadFile, SshAccess};
    matches!(reason, SshAccess | AdministrativeAccount | PreloadFile | CronFile | CertificateWritten)
}

/// Whether a write to a path is what a reason is about; the mark is a part of the path.
pub(crate) fn path(reason: Reason, path: &str) -> Option<&str> {
    let found = match reason {
        Reason::SshAccess => paths::is_ssh_access(path),
        Reason::AdministrativeAccount => paths::is_account(path),
        Reason::PreloadFile => paths::is_preload(path),
        Reason::CronFile => paths::is_cron(path),
        Reason::CertificateWritten => paths::is_certificate(path),
        _ => false,
    };
    found.then_some(path)
}
