//! What is known of each reason: how severe it is, and what it is about (`contract/detections.json`).
use crate::Reason;

/// How severe it is when something is found, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Often harmless.
    Low,
    /// To be looked at.
    Medium,
    /// Most likely an attack.
    High,
}

/// What a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Program starts.
    Process,
    /// Look-ups, connections, listening ports.
    Network,
    /// Writes to files.
    File,
    /// Custom rules.
    Custom,
    /// Requests that came from outside.
    Request,
    /// The Defender itself.
    Defender,
}

impl Reason {
    /// Every reason but those of requests and of notices, in their order.
    pub const ALL: [Self; 43] = [
        Self::DeniedProcess,
        Self::ProcessNotAllowed,
        Self::DeniedName,
        Self::NameNotAllowed,
        Self::DeniedAddress,
        Self::AddressNotAllowed,
        Self::DeniedPort,
        Self::PortNotAllowed,
        Self::ModifiedBinary,
        Self::NewBinary,
        Self::AlteredPackageBinary,
        Self::CryptoMiner,
        Self::ReverseShell,
        Self::WebShell,
        Self::TmpfsProcess,
        Self::MemoryProcess,
        Self::LoaderInvocation,
        Self::Preload,
        Self::SetuidUse,
        Self::LateralMovement,
        Self::InlineCode,
        Self::NotMainProcess,
        Self::PortScan,
        Self::RawSocket,
        Self::CloudMetadata,
        Self::EncryptedDns,
        Self::UnresolvedAddress,
        Self::UnseenConnection,
        Self::DeniedListenPort,
        Self::ListenPortNotAllowed,
        Self::DeniedFile,
        Self::FileNotAllowed,
        Self::BinaryWritten,
        Self::CertificateWritten,
        Self::SshAccess,
        Self::AdministrativeAccount,
        Self::SuspiciousElf,
        Self::PackedBinary,
        Self::PreloadFile,
        Self::CronFile,
        Self::CustomRule,
        Self::InjectedProcess,
        Self::Tampering,
    ];

    /// How severe it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::ModifiedBinary
            | Self::NewBinary
            | Self::AlteredPackageBinary
            | Self::CryptoMiner
            | Self::ReverseShell
            | Self::WebShell
            | Self::MemoryProcess
            | Self::PortScan
            | Self::UnseenConnection
            | Self::DeniedListenPort
            | Self::DeniedFile
            | Self::SshAccess
            | Self::AdministrativeAccount
            | Self::SuspiciousElf
            | Self::PreloadFile
            | Self::Tampering => Severity::High,
            Self::InlineCode | Self::UnresolvedAddress | Self::Defender => Severity::Low,
            _ => Severity::Medium,
        }
    }

    /// What it is about.
    #[must_use]
    pub fn section(self) -> Section {
        match self {
            Self::DeniedFile
            | Self::FileNotAllowed
            | Self::BinaryWritten
            | Self::CertificateWritten
            | Self::SshAccess
            | Self::AdministrativeAccount
            | Self::SuspiciousElf
            | Self::PackedBinary
            | Self::PreloadFile
            | Self::CronFile => Section::File,
            Self::DeniedName
            | Self::NameNotAllowed
            | Self::DeniedAddress
            | Self::AddressNotAllowed
            | Self::DeniedPort
            | Self::PortNotAllowed
            | Self::PortScan
            | Self::RawSocket
            | Self::CloudMetadata
            | Self::EncryptedDns
            | Self::UnresolvedAddress
            | Self::UnseenConnection
            | Self::DeniedListenPort
            | Self::ListenPortNotAllowed => Section::Network,
            Self::CustomRule => Section::Custom,
            Self::Waas => Section::Request,
            Self::InjectedProcess | Self::Tampering | Self::Defender => Section::Defender,
            _ => Section::Process,
        }
    }
}
