//! What the environment asks of each mode, parsed once into values that cannot be wrong.
//!
//! Errors name the variable and never show a value that may be secret.
use std::{collections::BTreeMap, ffi::OsString, fmt, time::Duration};

use serde::Deserialize;
use thiserror::Error;

use crate::{
    enforcement::{FailMode, Wanted},
    link::{
        address::{Address, AddressError},
        bundle::InstallBundle,
    },
    recorder::RECORD_BYTES,
    waas::ports::Ports,
};

const DEFAULT_POLICY_TIMEOUT: u64 = 20;
const LONGEST_POLICY_TIMEOUT: u64 = 3600;
/// As many as the Console takes in one hello.
const MOST_CONTAINERS: usize = 16;
const LARGEST_RECORD: usize = 64 << 20;
const LONGEST_NAME: usize = 512;

/// Ours in a wrapped container; the application does not see them.
const ENTRYPOINT_VARIABLES: [&str; 14] = [
    "DEFENDER_ALLOW_32BIT",
    "DEFENDER_APP_ID",
    "DEFENDER_CONTAINER_NAME",
    "DEFENDER_FAIL_MODE",
    "DEFENDER_LAUNCH",
    "DEFENDER_IMAGE_NAME",
    "DEFENDER_POLICY_TIMEOUT",
    "DEFENDER_TIER",
    "DEFENDER_RECORD_BYTES",
    "DEFENDER_TOKEN",
    "DEFENDER_TYPE",
    "FARGATE_TASK",
    "FILESYSTEM_MONITORING",
    "INSTALL_BUNDLE",
];
/// Ours in an image with the Defender in it; the application does not see them.
const EMBEDDED_VARIABLES: [&str; 15] = [
    "DATA_FOLDER",
    "DEFENDER_ALLOW_32BIT",
    "DEFENDER_APP_ID",
    "DEFENDER_FAIL_MODE",
    "DEFENDER_LAUNCH",
    "DEFENDER_ID",
    "DEFENDER_POLICY_TIMEOUT",
    "DEFENDER_TIER",
    "DEFENDER_RECORD_BYTES",
    "DEFENDER_TOKEN",
    "DEFENDER_TYPE",
    "DEFENDER_WAAS_PORTS",
    "FILESYSTEM_MONITORING",
    "INSTALL_BUNDLE",
    "WS_ADDRESS",
];
/// Variables that begin so hold certificates with their keys, for policies that name them.
pub const CERTIFICATE_PREFIX: &str = "DEFENDER_WAAS_CERTIFICATE";

/// Why the environment cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not set, or empty.
    #[error("`{0}` is not set")]
    Missing(&'static str),
    /// Not UTF-8.
    #[error("`{0}` is not valid UTF-8")]
    Encoding(&'static str),
    /// One of a few words was expected.
    #[error("`{name}` is `{value}`, only {expected} can be used")]
    Word {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: &'static str,
    },
    /// A value that does not fit; `reason` shows nothing secret.
    #[error("`{name}` cannot be used: {reason}")]
    Value {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ConfigError {
    fn value(name: &'static str, reason: &impl ToString) -> Self {
        Self::Value { name, reason: reason.to_string() }
    }
}

/// The environment of this process, by name.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment {
    fn optional(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.0.get(std::ffi::OsStr::new(name)) else { return Ok(None) };
        let value = value.to_str().ok_or(ConfigError::Encoding(name))?.trim();
        Ok((!value.is_empty()).then_some(value))
    }

    fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name)?.ok_or(ConfigError::Missing(name))
    }

    fn named(&self, name: &'static str) -> Result<&str, ConfigError> {
        let value = self.required(name)?;
        let shown = value.chars().count() <= LONGEST_NAME && !value.chars().any(char::is_control);
        shown
            .then_some(value)
            .ok_or_else(|| ConfigError::value(name, &"it is longer than 512 characters or not printable"))
    }

    fn without(&self, ours: &[&str]) -> Vec<(OsString, OsString)> {
        self.0
            .iter()
            .filter(|(name, _)| !ours.iter().any(|own| name == own) && !is_certificate(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    }

    /// What the application of a wrapped container sees.
    #[must_use]
    pub fn of_wrapped_application(&self) -> Vec<(OsString, OsString)> {
        self.without(&ENTRYPOINT_VARIABLES)
    }

    /// What the application of an image with the Defender in it sees.
    #[must_use]
    pub fn of_embedded_application(&self) -> Vec<(OsString, OsString)> {
        self.without(&EMBEDDED_VARIABLES)
    }

    fn waas(&self) -> Result<WaasConfig, ConfigError> {
        let name = "DEFENDER_WAAS_PORTS";
        let ports = self.optional(name)?.unwrap_or_default().parse();
        let mut certificates = BTreeMap::new();
        for (name, value) in self.0.iter().filter(|(name, _)| is_certificate(name)) {
            let encoding = || ConfigError::Encoding("DEFENDER_WAAS_CERTIFICATE…");
            let (name, value) = (name.to_str().ok_or_else(encoding)?, value.to_str().ok_or_else(encoding)?);
            certificates.insert(name.to_owned(), value.to_owned());
        }
        Ok(WaasConfig { ports: ports.map_err(|error| ConfigError::value(name, &error))?, certificates })
    }

    fn expect_type(&self, expected: &'static str, shown: &'static str) -> Result<(), ConfigError> {
        match self.optional("DEFENDER_TYPE")? {
            Some(value) if value != expected => {
                Err(ConfigError::Word { name: "DEFENDER_TYPE", value: value.into(), expected: shown })
            }
            _ => Ok(()),
        }
    }

    fn fail_mode(&self) -> Result<FailMode, ConfigError> {
        match self.optional("DEFENDER_FAIL_MODE")? {
            None | Some("open") => Ok(FailMode::Open),
            Some("closed") => Ok(FailMode::Closed),
            Some(other) => Err(ConfigError::Word {
                name: "DEFENDER_FAIL_MODE",
                value: other.into(),
                expected: "`open` or `closed`",
            }),
        }
    }

    fn wanted(&self) -> Result<Wanted, ConfigError> {
        match self.optional("DEFENDER_TIER")? {
            None | Some("auto") => Ok(Wanted::Strongest),
            Some("compat") => Ok(Wanted::Compat),
            Some(other) => {
                Err(ConfigError::Word { name: "DEFENDER_TIER", value: other.into(), expected: "`auto` or `compat`" })
            }
        }
    }

    /// Whether the application is to be process 1 itself (`DEFENDER_LAUNCH=exec`).
    ///
    /// # Errors
    /// [`ConfigError`] for any other word than `child`.
    pub fn keeps_process_one(&self) -> Result<bool, ConfigError> {
        match self.optional("DEFENDER_LAUNCH")? {
            None | Some("child") => Ok(false),
            Some("exec") => Ok(true),
            Some(other) => {
                Err(ConfigError::Word { name: "DEFENDER_LAUNCH", value: other.into(), expected: "`child` or `exec`" })
            }
        }
    }

    fn policy_timeout(&self) -> Result<Duration, ConfigError> {
        let name = "DEFENDER_POLICY_TIMEOUT";
        let seconds = match self.optional(name)? {
            None => DEFAULT_POLICY_TIMEOUT,
            Some(text) => text.parse().map_err(|_| ConfigError::value(name, &"it is not a whole number of seconds"))?,
        };
        if seconds > LONGEST_POLICY_TIMEOUT {
            return Err(ConfigError::value(name, &"it is more than 3600 seconds"));
        }
        Ok(Duration::from_secs(seconds))
    }

    /// False unless it says otherwise.
    fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.optional(name)? {
            None | Some("false" | "False" | "FALSE" | "0") => Ok(false),
            Some("true" | "True" | "TRUE" | "1") => Ok(true),
            Some(other) => Err(ConfigError::Word { name, value: other.into(), expected: "`true` or `false`" }),
        }
    }

    fn record_bytes(&self) -> Result<usize, ConfigError> {
        let name = "DEFENDER_RECORD_BYTES";
        let Some(text) = self.optional(name)? else { return Ok(RECORD_BYTES) };
        let bytes = text.parse().map_err(|_| ConfigError::value(name, &"it is not a whole number of bytes"))?;
        if bytes > LARGEST_RECORD {
            return Err(ConfigError::value(name, &"it is more than 67108864 (64 MiB)"));
        }
        Ok(bytes)
    }

    fn bundle(&self) -> Result<InstallBundle, ConfigError> {
        let name = "INSTALL_BUNDLE";
        InstallBundle::parse(self.required(name)?).map_err(|error| ConfigError::value(name, &error))
    }

    /// `WS_ADDRESS` first, then those of the bundle, each once.
    fn addresses(&self, bundle: &InstallBundle) -> Result<Vec<Address>, ConfigError> {
        let own = self.optional("WS_ADDRESS")?.into_iter().map(|text| ("WS_ADDRESS", text));
        let mut addresses = Vec::new();
        for (name, text) in own.chain(bundle.addresses.iter().map(|text| ("INSTALL_BUNDLE", text.as_str()))) {
            let address = text.parse().map_err(|error: AddressError| ConfigError::value(name, &error))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() { Err(ConfigError::Missing("WS_ADDRESS")) } else { Ok(addresses) }
    }

    fn containers(&self) -> Result<Vec<Container>, ConfigError> {
        let name = "DEFENDER_CONTAINERS";
        // A template lists null for a container that a condition has left out.
        let listed: Vec<Option<Container>> =
            serde_json::from_str(self.required(name)?).map_err(|error| ConfigError::value(name, &error))?;
        let containers: Vec<Container> = listed.into_iter().flatten().collect();
        let mut names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
        names.sort_unstable();
        if containers.is_empty() || containers.len() > MOST_CONTAINERS {
            return Err(ConfigError::value(name, &"it has to list 1 to 16 containers"));
        }
        if names.iter().any(|name| name.is_empty() || name.chars().count() > LONGEST_NAME) {
            return Err(ConfigError::value(name, &"a container has an empty name, or one longer than 512 characters"));
        }
        if let Some((twice, _)) = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next) {
            return Err(ConfigError::value(name, &format_args!("the container `{twice}` is named twice")));
        }
        Ok(containers)
    }
}

fn is_certificate(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(CERTIFICATE_PREFIX.as_bytes())
}

/// The reverse proxy.
#[derive(Clone, Default)]
pub struct WaasConfig {
    /// Where it listens from the first moment.
    pub ports: Ports,
    /// Certificates with their keys (PEM), by the variable that holds them.
    pub certificates: BTreeMap<String, String>,
}

impl fmt::Debug for WaasConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WaasConfig").field("ports", &self.ports).finish_non_exhaustive()
    }
}

/// One container that the sidecar speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// Its name in the task definition.
    pub name: String,
    /// Its image, as the task definition names it.
    #[serde(default)]
    pub image: Option<String>,
    /// What its token is made of, if not of its name.
    #[serde(default)]
    pub id: Option<String>,
}

/// How to reach the Console, and as whom.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// What enrols.
    pub bundle: InstallBundle,
    /// Where to try, in this order.
    pub addresses: Vec<Address>,
    /// Under which App ID.
    pub app_id: String,
}

impl ConsoleConfig {
    fn read(environment: &Environment, app_id: &str) -> Result<Self, ConfigError> {
        let bundle = environment.bundle()?;
        let addresses = environment.addresses(&bundle)?;
        Ok(Self { bundle, addresses, app_id: app_id.to_owned() })
    }
}

/// `defender fargate sidecar`.
#[derive(Debug, Clone)]
pub struct SidecarConfig {
    /// The Console.
    pub console: ConsoleConfig,
    /// Family of the task definition.
    pub task: Option<String>,
    /// The containers of the task, at least one, no name twice.
    pub containers: Vec<Container>,
    /// Whether the task may start without policies.
    pub fail_mode: FailMode,
    /// For how long to wait for them.
    pub policy_timeout: Duration,
    /// The reverse proxy before the task's ports.
    pub waas: WaasConfig,
}

impl SidecarConfig {
    /// Reads the environment of the sidecar.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        environment.expect_type("fargate", "`fargate`")?;
        let task = environment.optional("FARGATE_TASK")?.map(str::to_owned);
        let app_id = match (environment.optional("DEFENDER_APP_ID")?, &task) {
            (Some(_), _) | (None, None) => environment.named("DEFENDER_APP_ID")?.to_owned(),
            (None, Some(task)) => task.clone(),
        };
        Ok(Self {
            console: ConsoleConfig::read(environment, &app_id)?,
            task,
            containers: environment.containers()?,
            fail_mode: environment.fail_mode()?,
            policy_timeout: environment.policy_timeout()?,
            waas: environment.waas()?,
        })
    }
}

/// `defender fargate entrypoint`.
#[derive(Clone)]
pub struct EntrypointConfig {
    /// The name of this container.
    pub container: String,
    /// What proves it to the sidecar.
    pub token: String,
    /// Whether the application may start without a policy.
    pub fail_mode: FailMode,
    /// For how long to wait for one.
    pub policy_timeout: Duration,
    /// Which mechanism to use.
    pub wanted: Wanted,
    /// Whether writes to files are watched.
    pub watch_files: bool,
    /// Whether 32-bit programs may run.
    pub allow_32_bit: bool,
    /// Bytes of the record, 0 for none.
    pub record_bytes: usize,
}

impl fmt::Debug for EntrypointConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("EntrypointConfig").field("container", &self.container).finish_non_exhaustive()
    }
}

impl EntrypointConfig {
    /// Reads the environment of a wrapped container.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        environment.expect_type("fargate", "`fargate`")?;
        let token = environment.required("DEFENDER_TOKEN")?;
        if token.len() != 32 || !token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ConfigError::value("DEFENDER_TOKEN", &"it has to be 32 lower-case hexadecimal digits"));
        }
        Ok(Self {
            container: environment.named("DEFENDER_CONTAINER_NAME")?.to_owned(),
            token: token.to_owned(),
            fail_mode: environment.fail_mode()?,
            policy_timeout: environment.policy_timeout()?,
            wanted: environment.wanted()?,
            watch_files: environment.switch("FILESYSTEM_MONITORING")?,
            allow_32_bit: environment.switch("DEFENDER_ALLOW_32BIT")?,
            record_bytes: environment.record_bytes()?,
        })
    }
}

/// `defender app-embedded`.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The Console.
    pub console: ConsoleConfig,
    /// Whether the application may start without a policy.
    pub fail_mode: FailMode,
    /// For how long to wait for one.
    pub policy_timeout: Duration,
    /// Which mechanism to use.
    pub wanted: Wanted,
    /// Whether writes to files are watched.
    pub watch_files: bool,
    /// Whether 32-bit programs may run.
    pub allow_32_bit: bool,
    /// Bytes of the record, 0 for none.
    pub record_bytes: usize,
    /// The reverse proxy before the application's ports.
    pub waas: WaasConfig,
}

impl EmbeddedConfig {
    /// Reads the environment of an image with the Defender in it.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that is missing or wrong.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        environment.expect_type("appEmbedded", "`appEmbedded`")?;
        let name =
            if environment.optional("DEFENDER_APP_ID")?.is_none() && environment.optional("DEFENDER_ID")?.is_some() {
                "DEFENDER_ID"
            } else {
                "DEFENDER_APP_ID"
            };
        Ok(Self {
            console: ConsoleConfig::read(environment, environment.named(name)?)?,
            fail_mode: environment.fail_mode()?,
            policy_timeout: environment.policy_timeout()?,
            wanted: environment.wanted()?,
            watch_files: environment.switch("FILESYSTEM_MONITORING")?,
            allow_32_bit: environment.switch("DEFENDER_ALLOW_32BIT")?,
            record_bytes: environment.record_bytes()?,
            waas: environment.waas()?,
        })
    }
}
