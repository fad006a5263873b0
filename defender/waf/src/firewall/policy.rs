//! A policy as the Console resolves it for one workload: `contract/waas-policy.schema.json`.

use thiserror::Error;

/// What follows from a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing is looked at.
    #[default]
    Disable,
    /// It goes on, and nothing else is looked at.
    Allow,
    /// It goes on and is told of.
    Alert,
    /// It is refused.
    Prevent,
    /// It is refused, and so is whatever comes from the same client for a while.
    Ban,
}

/// The policy of one workload.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// Counts up with each change.
    pub revision: u64,
    /// The Console's rule that matched this workload; none when no rule did.
    pub rule: Option<String>,
    /// The first that a request matches judges it.
    pub applications: Vec<Application>,
}

/// One application of a rule: where it listens, and how it is protected.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Application {
    /// Its name within the rule.
    #[serde(rename = "appID")]
    pub app_id: String,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
}

/// Where an application is reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// The host that is asked for, `*` at its beginning for any; with or without a port.
    pub host: String,
    /// The path, `*` for any part.
    pub base_path: String,
    /// The port on which the firewall accepts connections.
    pub exposed_port: u16,
    /// The port on which the application does.
    pub internal_port: u16,
    /// Whether clients speak TLS.
    pub tls: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { host: "*".into(), base_path: "*".into(), exposed_port: 0, internal_port: 0, tls: false }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

impl Policy {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// What in it means nothing, and where.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let policy: Self = serde_json::from_slice(text)
            .map_err(|cause| PolicyError(format!("the WAAS policy cannot be read: {cause}")))?;
        policy.check()?;
        Ok(policy)
    }

    /// Looks at what a type cannot say.
    ///
    /// # Errors
    /// The first thing that means nothing.
    pub fn check(&self) -> Result<(), PolicyError> {
        match self.applications.iter().find(|application| application.app_id.is_empty()) {
            Some(_) => Err(PolicyError("an application of the WAAS policy has no `appID`".into())),
            None => Ok(()),
        }
    }
}
