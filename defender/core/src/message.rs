//! The messages of the channel (Defender and Console) and of the relay (entrypoint and sidecar), as
//! `contract/channel.schema.json` has them. One JSON object is one message, told apart by `type`; fields that are not known
//! are ignored, missing ones refused.
use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{Audit, DefenderPolicy, Instance, PolicyHash, bounds, hex::ContainerToken};

/// Version of the messages.
pub const PROTOCOL: u32 = 1;
/// The WebSocket subprotocol of the channel.
pub const SUBPROTOCOL: &str = "bartizan.v1";
/// Bytes of the largest message, on the channel and on the relay.
pub const LARGEST_MESSAGE: usize = 1 << 20;

/// Why a message was refused. It never shows what the message carried.
#[derive(Debug, Error)]
pub enum MessageError {
    /// Too large.
    #[error("a message of {0} bytes is over the limit of {LARGEST_MESSAGE}")]
    Size(usize),
    /// Not JSON, or not of the contract.
    #[error("the message does not fit the contract, at line {line}, column {column}")]
    Form {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
}

/// Reads a message of the kind that is expected here.
///
/// # Errors
/// [`MessageError`] when it is too large, is no JSON, lacks a field or has one of the wrong kind.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, MessageError> {
    if text.len() > LARGEST_MESSAGE {
        return Err(MessageError::Size(text.len()));
    }
    serde_json::from_slice(text).map_err(|error| MessageError::Form { line: error.line(), column: error.column() })
}

/// Writes a message.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> String {
    // Our messages hold texts, numbers, lists and string-keyed objects only; writing those to memory cannot fail.
    serde_json::to_string(message).unwrap_or_default()
}

/// How a Defender came to its workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Beside the containers of a Fargate task.
    Fargate,
    /// In the application's own image.
    AppEmbedded,
}

/// Defender to Console on `/enrol`: a certificate is wanted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "enrol", rename_all = "camelCase")]
pub struct Enrol {
    /// Id of the install bundle.
    pub bundle: String,
    /// Its secret.
    pub secret: String,
    /// Certificate request, PEM.
    pub csr: String,
    /// The Defender that asks.
    pub instance: Instance,
    /// How it came to its workload.
    pub kind: Kind,
    /// The App ID it reports under.
    pub app_id: String,
}

impl fmt::Debug for Enrol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Enrol").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// Defender to Console on `/channel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum DefenderMessage {
    /// Always first.
    Hello(Hello),
    /// The state of all workloads; only the latest counts.
    Status {
        /// One for each workload that is there.
        workloads: Vec<WorkloadStatus>,
    },
    /// Audits of one source, in order of `seq`.
    Audits(Batch),
    /// A new certificate is wanted.
    Renew {
        /// Certificate request, PEM.
        csr: String,
    },
    /// A clean end.
    Goodbye {
        /// Why.
        reason: String,
    },
}

/// Who a Defender is and what it guards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// [`PROTOCOL`].
    #[serde(deserialize_with = "bounds::protocol")]
    pub protocol: u32,
    /// This process.
    pub instance: Instance,
    /// How it came to its workload.
    pub kind: Kind,
    /// The App ID it reports under.
    pub app_id: String,
    /// Version of the Defender.
    pub version: String,
    /// `amd64` or `arm64`.
    pub architecture: String,
    /// The machine's name.
    pub hostname: String,
    /// Family of the Fargate task.
    #[serde(deserialize_with = "bounds::nullable")]
    pub task: Option<String>,
    /// What it guards.
    pub workloads: Vec<Workload>,
}

/// One container of a task; both none for an app-embedded Defender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Its name in the task definition.
    #[serde(deserialize_with = "bounds::nullable")]
    pub container: Option<String>,
    /// Its image as the task definition names it.
    #[serde(deserialize_with = "bounds::nullable")]
    pub image: Option<String>,
}

/// What is in force for one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Its container.
    #[serde(deserialize_with = "bounds::nullable")]
    pub container: Option<String>,
    /// The Defender process in it.
    pub instance: Instance,
    /// The policy that it enforces.
    #[serde(deserialize_with = "bounds::nullable")]
    pub policy_hash: Option<PolicyHash>,
    /// The mechanism, 0 for none.
    #[serde(deserialize_with = "bounds::tier")]
    pub tier: u8,
    /// Why this one.
    #[serde(deserialize_with = "bounds::reasons")]
    pub tier_reasons: Vec<String>,
    /// Audits given up so far.
    #[serde(deserialize_with = "bounds::count")]
    pub dropped: u64,
}

/// Audits of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Who numbered them.
    pub source: Instance,
    /// The container that they are about.
    #[serde(deserialize_with = "bounds::nullable")]
    pub container: Option<String>,
    /// At most [`bounds::MOST_AUDITS`], in order.
    #[serde(deserialize_with = "bounds::audits")]
    pub audits: Vec<Audit>,
}

/// Console to Defender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ConsoleMessage {
    /// The answer to an enrolment.
    Enrolled {
        /// The Defender's certificate, PEM.
        certificate: String,
        /// The authority's, PEM.
        ca: String,
        /// End of the first, unix milliseconds.
        not_after: u64,
    },
    /// The answer to the hello.
    Welcome {
        /// Unix milliseconds.
        server_time: u64,
        /// A ping is due this often.
        heartbeat_seconds: u64,
        /// Audits of one message.
        max_batch: usize,
    },
    /// The policies of all workloads.
    Policies {
        /// The Console's policy revision.
        revision: u64,
        /// One for each workload of the hello.
        policies: Vec<WorkloadPolicy>,
    },
    /// The audits of a source are in the database.
    Ack {
        /// Whose.
        source: Instance,
        /// Up to here.
        committed: u64,
    },
    /// The answer to `renew`.
    Renewed {
        /// PEM.
        certificate: String,
        /// Its end, unix milliseconds.
        not_after: u64,
    },
    /// A refusal; the connection ends.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Not before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
}

/// The policy of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadPolicy {
    /// The container, none for an app-embedded Defender.
    #[serde(deserialize_with = "bounds::nullable")]
    pub container: Option<String>,
    /// Names exactly this policy.
    pub hash: PolicyHash,
    /// What to enforce.
    pub policy: DefenderPolicy,
}

/// Why the Console refuses or closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    /// A message that does not fit.
    BadMessage,
    /// A wrong bundle, or a source that is another's.
    Unauthorized,
    /// Too much.
    RateLimited,
    /// The bundle was revoked.
    Revoked,
    /// The instance is bound to another key.
    Conflict,
    /// A newer connection of this instance came.
    Replaced,
    /// The certificate has ended.
    Expired,
    /// Later, perhaps.
    Unavailable,
    /// One that a newer Console knows.
    #[serde(other)]
    Unknown,
}

/// Entrypoint to sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum EntrypointMessage {
    /// Always first.
    Attach(Attach),
    /// What is in force in this container.
    Status(RelayStatus),
    /// Audits, in order of `seq`.
    Audits {
        /// At most [`bounds::MOST_AUDITS`].
        #[serde(deserialize_with = "bounds::audits")]
        audits: Vec<Audit>,
    },
}

/// Which container this is, and the proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// [`PROTOCOL`].
    #[serde(deserialize_with = "bounds::protocol")]
    pub protocol: u32,
    /// Name in the task definition.
    #[serde(deserialize_with = "bounds::name")]
    pub container: String,
    /// The container's token.
    pub token: ContainerToken,
    /// This process.
    pub instance: Instance,
    /// Version of the Defender.
    #[serde(deserialize_with = "bounds::version")]
    pub version: String,
}

impl fmt::Debug for Attach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attach")
            .field("container", &self.container)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// What is in force in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// The policy that is enforced.
    #[serde(deserialize_with = "bounds::nullable")]
    pub policy_hash: Option<PolicyHash>,
    /// The mechanism, 0 for none.
    #[serde(deserialize_with = "bounds::tier")]
    pub tier: u8,
    /// Why this one.
    #[serde(deserialize_with = "bounds::reasons")]
    pub tier_reasons: Vec<String>,
    /// Audits given up so far.
    #[serde(deserialize_with = "bounds::count")]
    pub dropped: u64,
}

/// Sidecar to entrypoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum SidecarMessage {
    /// The container's policy; both none while there is none yet.
    Policy {
        /// Names exactly this policy.
        #[serde(deserialize_with = "bounds::nullable")]
        hash: Option<PolicyHash>,
        /// What to enforce.
        #[serde(deserialize_with = "bounds::nullable")]
        policy: Option<Box<DefenderPolicy>>,
    },
    /// How far the audits have got.
    Ack {
        /// The sidecar holds them up to here.
        #[serde(deserialize_with = "bounds::count")]
        received: u64,
        /// The Console's database holds them up to here.
        #[serde(deserialize_with = "bounds::count")]
        committed: u64,
    },
    /// The attachment is refused, and the connection ends.
    Refused {
        /// Why.
        message: String,
    },
}
