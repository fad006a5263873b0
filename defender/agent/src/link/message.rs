//! The messages of channel and relay (`contract/channel.schema.json`). Unknown fields are ignored, missing ones refused.
use defender_core::{Audit, DefenderPolicy};
use serde::{Deserialize, Serialize};

/// Version of both protocols.
pub const PROTOCOL: u32 = 1;

/// How a Defender came to its workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A sidecar of a Fargate task.
    Fargate,
    /// Built into the image, or started by hand.
    AppEmbedded,
}

/// One workload of a hello; both are none for an app-embedded Defender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Container name.
    pub container: Option<String>,
    /// Image, as the task definition names it.
    pub image: Option<String>,
}

/// What is in force for one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// Container name.
    pub container: Option<String>,
    /// The Defender process in it.
    pub instance: String,
    /// Digest of the policy in force.
    pub policy_hash: Option<String>,
    /// Strength of enforcement; 0 is none, 1 the strongest.
    pub tier: u8,
    /// Why it is not 1.
    pub tier_reasons: Vec<String>,
    /// Audits given up so far.
    pub dropped: u64,
}

/// The policy of one workload, with the digest of the bytes that the Console made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadPolicy {
    /// Container name.
    pub container: Option<String>,
    /// Digest of the encoded policy.
    pub hash: String,
    /// The policy.
    pub policy: DefenderPolicy,
}

/// Defender to Console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToConsole {
    /// Asks for a certificate; the only message on `/enrol`.
    Enrol {
        /// Bundle id.
        bundle: String,
        /// Bundle secret.
        secret: String,
        /// Signing request (PEM).
        csr: String,
        /// The Defender process.
        instance: String,
        /// How it came here.
        kind: Kind,
        /// App ID.
        app_id: String,
    },
    /// The first message on `/channel`.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The Defender process.
        instance: String,
        /// How it came here.
        kind: Kind,
        /// App ID.
        app_id: String,
        /// Version of the Defender.
        version: String,
        /// Machine architecture.
        architecture: String,
        /// Host name.
        hostname: String,
        /// Family of the task definition.
        task: Option<String>,
        /// What is protected.
        workloads: Vec<Workload>,
    },
    /// The state of all workloads; the latest counts.
    Status {
        /// One for each live Defender process.
        workloads: Vec<WorkloadStatus>,
    },
    /// Audits of one source, in order of `seq`.
    Audits {
        /// The Defender process that made them.
        source: String,
        /// Its container.
        container: Option<String>,
        /// At most 500.
        audits: Vec<Audit>,
    },
    /// Asks for a new certificate.
    Renew {
        /// Signing request (PEM).
        csr: String,
    },
    /// A clean end.
    Goodbye {
        /// One word or sentence for people.
        reason: String,
    },
}

/// Console to Defender.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromConsole {
    /// The certificate.
    Enrolled {
        /// PEM.
        certificate: String,
        /// Unix milliseconds.
        not_after: u64,
    },
    /// What holds for this session.
    Welcome {
        /// Seconds between pings.
        heartbeat_seconds: u64,
        /// Most audits in a frame.
        max_batch: usize,
    },
    /// Policies of all workloads of the hello.
    Policies {
        /// One for each.
        policies: Vec<WorkloadPolicy>,
    },
    /// Everything up to `committed` is in the database.
    Ack {
        /// The Defender process that made the audits.
        source: String,
        /// Highest number.
        committed: u64,
    },
    /// The new certificate.
    Renewed {
        /// PEM.
        certificate: String,
        /// Unix milliseconds.
        not_after: u64,
    },
    /// Why the Console closes.
    Error {
        /// A word.
        code: String,
        /// A sentence.
        message: String,
        /// Not to be tried again sooner.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// A message of a later version, ignored.
    #[serde(other)]
    Other,
}

/// Entrypoint to sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ToSidecar {
    /// The first message: which container this is, proved by its token.
    Attach {
        /// [`PROTOCOL`].
        protocol: u32,
        /// Container name.
        container: String,
        /// Its token.
        token: String,
        /// The Defender process.
        instance: String,
        /// Version of the Defender.
        version: String,
    },
    /// What is in force here.
    Status {
        /// Digest of the policy in force.
        policy_hash: Option<String>,
        /// Strength of enforcement.
        tier: u8,
        /// Why it is not 1.
        tier_reasons: Vec<String>,
        /// Audits given up so far.
        dropped: u64,
    },
    /// Audits, in order of `seq`.
    Audits {
        /// At most 500.
        audits: Vec<Audit>,
    },
}

/// Sidecar to entrypoint.
#[allow(clippy::large_enum_variant, reason = "one at a time, and the large one is the usual one")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum FromSidecar {
    /// The container's policy; both are none while the Console has sent none.
    Policy {
        /// Its digest.
        hash: Option<String>,
        /// The policy.
        policy: Option<DefenderPolicy>,
    },
    /// How far audits have come.
    Ack {
        /// Held by the sidecar.
        received: u64,
        /// In the Console's database.
        committed: u64,
    },
    /// The attachment is refused.
    Refused {
        /// Why.
        message: String,
    },
    /// A message of a later version, ignored.
    #[serde(other)]
    Other,
}
