//! The messages of the channel (Defender and Console) and of the relay (entrypoint and sidecar), as
//! `contract/channel.schema.json` has them. One JSON object is one message, told apart by `type`; fields that are not known
//! are ignored, missing ones refused.
use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{Audit, DefenderPolicy, Observed, Recorded, bounds, observe, recorder};

/// Version of the messages.
pub const PROTOCOL: u32 = 1;
/// The WebSocket subprotocol of the channel.
pub const SUBPROTOCOL: &str = "bartizan.v1";
/// Bytes of the largest message, on the channel and on the relay.
pub const LARGEST_MESSAGE: usize = 1 << 20;
pub use bounds::{MOST_AUDITS, MOST_RULESET_PART, MOST_RULESET_PARTS};

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

/// Defender to Console.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToConsole {
    /// Asks for a certificate; the only message on `/enrol`.
    Enrol {
        /// Id of the install bundle.
        bundle: String,
        /// Its secret.
        secret: String,
        /// Certificate request, PEM.
        csr: String,
        /// The Defender process that asks.
        #[serde(deserialize_with = "bounds::instance")]
        instance: String,
        /// How it came to its workload.
        kind: Kind,
        /// The App ID that it reports under.
        app_id: String,
    },
    /// The first message on `/channel`: who this is and what it guards.
    Hello {
        /// [`PROTOCOL`].
        #[serde(deserialize_with = "bounds::protocol")]
        protocol: u32,
        /// This process.
        #[serde(deserialize_with = "bounds::instance")]
        instance: String,
        /// How it came to its workload.
        kind: Kind,
        /// The App ID that it reports under.
        app_id: String,
        /// Version of the Defender.
        version: String,
        /// Machine architecture.
        architecture: String,
        /// The machine's name.
        hostname: String,
        /// Family of the task definition.
        #[serde(deserialize_with = "bounds::nullable")]
        task: Option<String>,
        /// What it guards.
        workloads: Vec<Workload>,
        /// The set of rules that the reverse proxy judges by, when the Console sent one before.
        #[serde(default, deserialize_with = "bounds::nullable_hash", skip_serializing_if = "Option::is_none")]
        ruleset: Option<String>,
    },
    /// The state of all workloads; only the latest counts.
    Status {
        /// One for each workload that is there.
        workloads: Vec<WorkloadStatus>,
        /// The reverse proxy: policy in force, ports, counters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waas: Option<serde_json::Value>,
    },
    /// Audits of one source, in order of `seq`.
    Audits {
        /// The Defender process that numbered them.
        #[serde(deserialize_with = "bounds::instance")]
        source: String,
        /// The container that they are about.
        #[serde(deserialize_with = "bounds::nullable")]
        container: Option<String>,
        /// At most [`MOST_AUDITS`].
        #[serde(deserialize_with = "bounds::audits")]
        audits: Vec<Audit>,
    },
    /// A piece of the record of a workload, the answer to one `fetch`.
    Snapshot {
        /// The fetch's.
        #[serde(deserialize_with = "bounds::instance")]
        id: String,
        /// Whose record.
        #[serde(deserialize_with = "bounds::nullable")]
        container: Option<String>,
        /// Number of the first event; more than the fetch's `after` plus one when those between are gone.
        #[serde(deserialize_with = "bounds::sequence")]
        first: u64,
        /// Number of the newest event that there is, 0 when there is none.
        #[serde(deserialize_with = "bounds::count")]
        newest: u64,
        /// Numbered on from the first.
        #[serde(deserialize_with = "recorder::recorded")]
        events: Vec<Recorded>,
    },
    /// What a workload was seen to do since the last time.
    Observations {
        /// Which one.
        #[serde(deserialize_with = "bounds::nullable")]
        container: Option<String>,
        /// Counts the messages of this workload, so that the Console can say which it has.
        #[serde(deserialize_with = "bounds::sequence")]
        number: u64,
        /// Each thing once.
        #[serde(deserialize_with = "observe::observed")]
        observed: Vec<Observed>,
        /// Sightings that found no place.
        #[serde(deserialize_with = "bounds::count")]
        overflow: u64,
    },
    /// A new certificate is wanted.
    Renew {
        /// Certificate request, PEM.
        csr: String,
    },
    /// A clean end.
    Goodbye {
        /// One word or sentence for people.
        reason: String,
    },
}

impl fmt::Debug for ToConsole {
    /// Shows the kind alone: an enrolment carries a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Enrol { .. } => "Enrol",
            Self::Hello { .. } => "Hello",
            Self::Status { .. } => "Status",
            Self::Audits { .. } => "Audits",
            Self::Snapshot { .. } => "Snapshot",
            Self::Observations { .. } => "Observations",
            Self::Renew { .. } => "Renew",
            Self::Goodbye { .. } => "Goodbye",
        })
    }
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
    #[serde(deserialize_with = "bounds::instance")]
    pub instance: String,
    /// The policy that it enforces.
    #[serde(deserialize_with = "bounds::nullable_hash")]
    pub policy_hash: Option<String>,
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

/// Console to Defender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromConsole {
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
    /// The policy of the reverse proxy.
    Waas {
        /// The Console's policy revision.
        revision: u64,
        /// Names exactly this policy.
        #[serde(deserialize_with = "bounds::hash")]
        hash: String,
        /// What only the firewall reads; none when there is no proxying to be judged.
        #[serde(deserialize_with = "bounds::nullable")]
        policy: Option<serde_json::Value>,
    },
    /// A piece of the set of rules that the reverse proxy is to judge by.
    Ruleset(RulesetPart),
    /// The audits of a source are in the database.
    Ack {
        /// Whose.
        #[serde(deserialize_with = "bounds::instance")]
        source: String,
        /// Up to here.
        committed: u64,
    },
    /// A piece of the record of a workload is wanted.
    Fetch {
        /// Names the fetch.
        #[serde(deserialize_with = "bounds::instance")]
        id: String,
        /// Whose record.
        #[serde(deserialize_with = "bounds::nullable")]
        container: Option<String>,
        /// Only events with a higher number.
        #[serde(deserialize_with = "bounds::count")]
        after: u64,
        /// What for, for people.
        #[serde(deserialize_with = "bounds::purpose")]
        reason: String,
    },
    /// The observations of a workload are in the database.
    Learned {
        /// Whose.
        #[serde(deserialize_with = "bounds::nullable")]
        container: Option<String>,
        /// The message's.
        #[serde(deserialize_with = "bounds::sequence")]
        number: u64,
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
        code: String,
        /// For people.
        message: String,
        /// Not before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
    /// A message of a later version, to be ignored.
    #[serde(other)]
    Other,
}

/// A piece of a set of rules; all pieces come in order, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetPart {
    /// Hex SHA-256 of all bytes; none: the rules that come with the Defender are to be used again.
    #[serde(deserialize_with = "bounds::nullable_hash")]
    pub hash: Option<String>,
    /// Which piece, from 0.
    #[serde(deserialize_with = "bounds::parts")]
    pub part: u32,
    /// How many there are; 0 without a set.
    #[serde(deserialize_with = "bounds::parts")]
    pub parts: u32,
    /// Base64 (RFC 4648, section 4) of at most [`MOST_RULESET_PART`] bytes.
    #[serde(deserialize_with = "bounds::ruleset_data")]
    pub data: String,
}

/// The policy of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadPolicy {
    /// The container, none for an app-embedded Defender.
    #[serde(deserialize_with = "bounds::nullable")]
    pub container: Option<String>,
    /// Names exactly this policy.
    #[serde(deserialize_with = "bounds::hash")]
    pub hash: String,
    /// What to enforce.
    pub policy: DefenderPolicy,
}

/// Entrypoint to sidecar.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToSidecar {
    /// The first message: which container this is, proved by its token.
    Attach {
        /// [`PROTOCOL`].
        #[serde(deserialize_with = "bounds::protocol")]
        protocol: u32,
        /// Name in the task definition.
        #[serde(deserialize_with = "bounds::name")]
        container: String,
        /// The container's token.
        #[serde(deserialize_with = "bounds::token")]
        token: String,
        /// This process.
        #[serde(deserialize_with = "bounds::instance")]
        instance: String,
        /// Version of the Defender.
        #[serde(deserialize_with = "bounds::version")]
        version: String,
    },
    /// What is in force in this container.
    Status {
        /// The policy that is enforced.
        #[serde(deserialize_with = "bounds::nullable_hash")]
        policy_hash: Option<String>,
        /// The mechanism, 0 for none.
        #[serde(deserialize_with = "bounds::tier")]
        tier: u8,
        /// Why it is not 1.
        #[serde(deserialize_with = "bounds::reasons")]
        tier_reasons: Vec<String>,
        /// Audits given up so far.
        #[serde(deserialize_with = "bounds::count")]
        dropped: u64,
    },
    /// Audits, in order of `seq`.
    Audits {
        /// At most [`MOST_AUDITS`].
        #[serde(deserialize_with = "bounds::audits")]
        audits: Vec<Audit>,
    },
    /// A piece of the record, the answer to one `fetch`.
    Snapshot {
        /// The fetch's.
        #[serde(deserialize_with = "bounds::instance")]
        id: String,
        /// Number of the first event.
        #[serde(deserialize_with = "bounds::sequence")]
        first: u64,
        /// Number of the newest event that there is.
        #[serde(deserialize_with = "bounds::count")]
        newest: u64,
        /// Numbered on from the first.
        #[serde(deserialize_with = "recorder::recorded")]
        events: Vec<Recorded>,
    },
    /// What the container was seen to do since the last time.
    Observations {
        /// Each thing once.
        #[serde(deserialize_with = "observe::observed")]
        observed: Vec<Observed>,
        /// Sightings that found no place.
        #[serde(deserialize_with = "bounds::count")]
        overflow: u64,
    },
}

impl fmt::Debug for ToSidecar {
    /// Shows the kind alone: an attach carries a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Attach { .. } => "Attach",
            Self::Status { .. } => "Status",
            Self::Audits { .. } => "Audits",
            Self::Snapshot { .. } => "Snapshot",
            Self::Observations { .. } => "Observations",
        })
    }
}

/// Sidecar to entrypoint.
#[allow(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum FromSidecar {
    /// The container's policy; both none while there is none yet.
    Policy {
        /// Names exactly this policy.
        #[serde(deserialize_with = "bounds::nullable_hash")]
        hash: Option<String>,
        /// What to enforce.
        #[serde(deserialize_with = "bounds::nullable")]
        policy: Option<DefenderPolicy>,
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
    /// A piece of the record is wanted.
    Fetch {
        /// Names the fetch.
        #[serde(deserialize_with = "bounds::instance")]
        id: String,
        /// Only events with a higher number.
        #[serde(deserialize_with = "bounds::count")]
        after: u64,
    },
    /// The attachment is refused, and the connection ends.
    Refused {
        /// Why.
        message: String,
    },
    /// A message of a later version, to be ignored.
    #[serde(other)]
    Other,
}
