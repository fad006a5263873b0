//! A policy as the Console resolves it for one workload: `contract/waas-policy.schema.json`.

use serde_json::Value;
use thiserror::Error;

use super::{endpoint::Endpoint, groups::Groups, page::BlockPage, reading::At, scrub::Scrubber};

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

/// Which rules judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The Core Rule Set with fewer false alarms.
    #[default]
    Balanced,
    /// The Core Rule Set to the bit.
    CrsStrict,
}

/// The policy of one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Counts up with each change.
    pub revision: u64,
    /// The Console's rule that matched this workload; none when no rule did.
    pub rule: Option<String>,
    /// Which rules judge.
    pub profile: Profile,
    /// How long a client may take for a request's head, in seconds.
    pub read_timeout_seconds: u64,
    /// The first that a request matches judges it.
    pub applications: Vec<Application>,
    /// What is hidden in what is told of requests (`sensitiveDataRules`).
    pub scrubber: Scrubber,
}

/// One application of a rule: where it listens, and how it is protected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Application {
    /// Its name within the rule.
    pub app_id: String,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// Certificates and private key in PEM.
    pub certificate: Option<String>,
    /// What follows from the findings of each group of rules.
    pub groups: Groups,
    /// How long a ban lasts, in milliseconds.
    pub ban_milliseconds: u64,
    /// What the firewall answers with instead of the application.
    pub page: BlockPage,
    /// How bodies are looked at.
    pub body: BodyInspection,
}

/// How bodies are looked at (`body`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyInspection {
    /// Not at all.
    pub skip: bool,
    /// So many bytes.
    pub inspection_size: usize,
    /// What follows from a body that is longer.
    pub limit_effect: Effect,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// `readTimeoutSeconds` of the vendor.
const READ_TIMEOUT_SECONDS: u64 = 5;
/// `banDurationMinutes` of the vendor.
const BAN_MINUTES: u64 = 5;
/// `inspectionSizeBytes` of the vendor.
const INSPECTION_SIZE: u64 = 131_072;

impl Effect {
    /// As policies and audits spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Prevent => "prevent",
            Self::Ban => "ban",
        }
    }
}

impl Default for BodyInspection {
    fn default() -> Self {
        Self { skip: false, inspection_size: INSPECTION_SIZE as usize, limit_effect: Effect::Disable }
    }
}

impl Policy {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// The first thing in it that means nothing, and where it stands.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|cause| PolicyError(format!("the WAAS policy is no JSON: {cause}")))?;
        Self::read(&value).map_err(|PolicyError(problem)| PolicyError(format!("the WAAS policy is refused: {problem}")))
    }

    fn read(value: &Value) -> Result<Self, PolicyError> {
        let root = At::root(value);
        root.object()?;
        let version = root.field("version")?;
        if version.number(u64::MAX)?.is_some_and(|number| number != 1) {
            return Err(version.wrong("has to be 1; this Defender knows no other"));
        }
        let rule = root.field("rule")?;
        let policy = Self {
            revision: root.field("revision")?.number(i64::MAX as u64)?.unwrap_or_default(),
            rule: rule.value().map(|_| rule.text().map(str::to_owned)).transpose()?,
            profile: root
                .field("profile")?
                .choice(&[("balanced", Profile::Balanced), ("crsStrict", Profile::CrsStrict)], Profile::Balanced)?,
            read_timeout_seconds: root.field("readTimeoutSeconds")?.number(86_400)?.unwrap_or(READ_TIMEOUT_SECONDS),
            applications: root.field("applications")?.list(|application| Application::read(&application))?,
            scrubber: Scrubber::read(&root.field("sensitiveDataRules")?)?,
        };
        policy.check()?;
        Ok(policy)
    }

    /// Looks at what a type cannot say.
    ///
    /// # Errors
    /// The first thing that means nothing.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (index, application) in self.applications.iter().enumerate() {
            let same = |other: &Application| other.app_id == application.app_id;
            if application.app_id.is_empty() {
                return Err(PolicyError(format!("`applications[{index}].appID` is missing")));
            }
            if self.applications[..index].iter().any(same) {
                let name = &application.app_id;
                return Err(PolicyError(format!("`applications[{index}].appID` is `{name}`, as an earlier one is")));
            }
        }
        Ok(())
    }
}

impl Application {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        at.object()?;
        let certificate = at.field("certificate")?;
        let certificate = certificate.field("plain")?;
        let certificate = Some(certificate.text()?).filter(|text| !text.is_empty()).map(str::to_owned);
        let minutes = at.field("banDurationMinutes")?.number(525_600)?.filter(|minutes| *minutes > 0);
        Ok(Self {
            app_id: at.field("appID")?.text()?.to_owned(),
            endpoints: Endpoint::read_all(at)?,
            certificate,
            groups: Groups::read(at)?,
            ban_milliseconds: minutes.unwrap_or(BAN_MINUTES) * 60_000,
            page: BlockPage::read(at)?,
            body: BodyInspection::read(&at.field("body")?)?,
        })
    }
}

impl BodyInspection {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let size = at.field("inspectionSizeBytes")?.number(1 << 30)?.filter(|size| *size > 0);
        Ok(Self {
            skip: at.field("skip")?.flag()?,
            inspection_size: size.unwrap_or(INSPECTION_SIZE) as usize,
            limit_effect: at.field("inspectionLimitExceededEffect")?.effect()?,
        })
    }
}
