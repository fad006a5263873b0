//! The link to the Console: enrol, stay connected, renew; policies in, status and audits out.
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use defender_core::Backoff;
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, sleep, timeout};

use super::{
    background::{Stop, stopped},
    desk,
    dial::{Broken, Connection, Incoming},
    identity::{self, IdentityError, Key},
    message::{FromConsole, Kind, ToConsole},
    protected::Protected,
    session::Session,
    tls,
};
use crate::config::ConsoleConfig;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Who speaks, and for whom.
pub struct Speaker {
    /// The Console.
    pub config: ConsoleConfig,
    /// How the Defender came here.
    pub kind: Kind,
    /// Family of the task definition.
    pub task: Option<String>,
    /// Id of this Defender process.
    pub instance: String,
    /// What it speaks for.
    pub protected: Arc<dyn Protected>,
}

impl Speaker {
    pub(super) fn hello(&self) -> ToConsole {
        ToConsole::Hello {
            protocol: super::message::PROTOCOL,
            instance: self.instance.clone(),
            kind: self.kind,
            app_id: self.config.app_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            architecture: architecture().into(),
            hostname: hostname(),
            task: self.task.clone(),
            workloads: self.protected.workloads(),
            ruleset: self.protected.ruleset(),
        }
    }
}

/// The machine as images name it (OCI image configuration, GOARCH).
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn hostname() -> String {
    // Only shown to people; a system without it is none the worse.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().take(512).collect()
}

/// A certificate in use.
pub(super) struct Certificate {
    der: CertificateDer<'static>,
    not_after: SystemTime,
    /// When a new one should be asked for.
    pub(super) renew_at: Instant,
}

impl Certificate {
    pub(super) fn new(pem: &str, not_after: u64) -> Result<Self, IdentityError> {
        let life = Duration::from_millis(not_after.saturating_sub(desk::now()));
        Ok(Self {
            der: identity::certificate(pem)?,
            not_after: SystemTime::UNIX_EPOCH + Duration::from_millis(not_after),
            renew_at: Instant::now() + half(life),
        })
    }

    fn is_over(&self) -> bool {
        self.not_after <= SystemTime::now()
    }
}

/// Half a life, ±10 %: Defenders that started together do not all renew together.
fn half(life: Duration) -> Duration {
    life.mul_f64(0.45 + identity::random() / 10.0)
}

/// Why a connection ended.
pub(super) enum End {
    /// We were told to stop, and said goodbye.
    Stopped,
    /// The connection failed.
    Broken(Broken),
    /// The Console said why.
    Error { code: String, message: String, retry_after: Duration },
    /// We have no identity to show.
    Identity(IdentityError),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<IdentityError> for End {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl End {
    /// True when the certificate should be thought bad. A refused client certificate looks like a lost connection in TLS 1.3.
    fn doubts_certificate(&self, worked: bool) -> bool {
        match self {
            Self::Stopped | Self::Broken(Broken::Unreachable(_)) => false,
            Self::Broken(_) => !worked,
            Self::Error { code, .. } => matches!(code.as_str(), "unauthorized" | "revoked" | "expired" | "conflict"),
            Self::Identity(_) => true,
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Stopped => String::new(),
            Self::Broken(broken) => broken.to_string(),
            Self::Error { message, .. } => message.clone(),
            Self::Identity(error) => error.to_string(),
        }
    }

    fn retry_after(&self) -> Duration {
        match self {
            Self::Error { retry_after, .. } => *retry_after,
            _ => Duration::ZERO,
        }
    }
}

/// Keeps the link up until told to stop. Addresses are tried in turn; the desk keeps everything while there is no link.
pub async fn run(speaker: Speaker, mut stop: Stop) {
    let key = match Key::generate() {
        Ok(key) => key,
        Err(error) => {
            crate::say!("bartizan: there will be no link to the console: {error}");
            return;
        }
    };
    let mut link = Link { speaker, key, certificate: None, address: 0, said: String::new() };
    let mut backoff = Backoff::default();
    loop {
        let mut worked = false;
        let began = Instant::now();
        let end = tokio::select! {
            biased;
            end = link.connect(&mut worked, stop.clone()) => end,
            () = stopped_before_session(&mut stop) => End::Stopped,
        };
        link.speaker.protected.rewind();
        if matches!(end, End::Stopped) {
            return;
        }
        link.note(&end, worked);
        let random = identity::random();
        let delay = if worked { backoff.broken(began.elapsed(), random) } else { backoff.failed(random) };
        let delay = delay.max(end.retry_after());
        tokio::select! {
            () = sleep(delay) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// A session says goodbye by itself; whatever comes before it is given up a moment after the stop.
async fn stopped_before_session(stop: &mut Stop) {
    stopped(stop).await;
    sleep(super::session::GOODBYE_PATIENCE * 3 / 2).await;
}

struct Link {
    speaker: Speaker,
    key: Key,
    certificate: Option<Certificate>,
    address: usize,
    said: String,
}

impl Link {
    async fn connect(&mut self, worked: &mut bool, stop: Stop) -> End {
        match self.try_to_connect(worked, stop).await {
            Ok(end) | Err(end) => end,
        }
    }

    async fn try_to_connect(&mut self, worked: &mut bool, stop: Stop) -> Result<End, End> {
        let addresses = &self.speaker.config.addresses;
        let address = addresses[self.address % addresses.len()].clone();
        let present = self.certificate.take().filter(|certificate| !certificate.is_over());
        let certificate = match present {
            Some(certificate) => certificate,
            None => self.enrol(&address).await?,
        };
        let chain = (vec![certificate.der.clone()], self.key.private());
        let certificate = self.certificate.insert(certificate);
        let tls = tls::client(&self.speaker.config.bundle.pins, Some(chain)).map_err(|_| IdentityError::Certificate)?;
        let connection = Connection::open(&address, "/channel", tls).await?;
        let shown = address.to_string();
        let session = Session { speaker: &self.speaker, key: &self.key, certificate, address: &shown, worked };
        Ok(session.run(connection, stop).await)
    }

    async fn enrol(&self, address: &super::address::Address) -> Result<Certificate, End> {
        let ConsoleConfig { bundle, app_id, .. } = &self.speaker.config;
        let tls = tls::client(&bundle.pins, None).map_err(|_| IdentityError::Certificate)?;
        let mut connection = Connection::open(address, "/enrol", tls).await?;
        let request = ToConsole::Enrol {
            bundle: bundle.id.clone(),
            secret: bundle.secret.clone(),
            csr: self.key.request()?,
            instance: self.speaker.instance.clone(),
            kind: self.speaker.kind,
            app_id: app_id.clone(),
        };
        connection.send(&request).await?;
        let answer = timeout(ANSWER_TIMEOUT, answer(&mut connection)).await;
        match answer.map_err(|_| Broken::Lost("the console did not answer the enrolment".into()))?? {
            FromConsole::Enrolled { certificate, not_after, .. } => Ok(Certificate::new(&certificate, not_after)?),
            FromConsole::Error { code, message, retry_after_seconds } => {
                Err(refusal(code, message, retry_after_seconds))
            }
            _ => Err(Broken::Lost("the console answered the enrolment with something else".into()).into()),
        }
    }

    fn note(&mut self, end: &End, worked: bool) {
        if end.doubts_certificate(worked) {
            self.certificate = None;
        }
        if !worked {
            self.address = self.address.wrapping_add(1);
        }
        let reason = end.reason();
        if worked || reason != self.said {
            crate::say!("bartizan: not connected to the console: {reason}; trying again");
            self.said = reason;
        }
    }
}

async fn answer(connection: &mut Connection) -> Result<FromConsole, Broken> {
    loop {
        if let Incoming::Message(message) = connection.next().await? {
            return Ok(message);
        }
    }
}

pub(super) fn refusal(code: String, message: String, retry_after_seconds: Option<u64>) -> End {
    // An hour is the longest that anybody may keep a Defender away.
    let retry_after = Duration::from_secs(retry_after_seconds.unwrap_or(0).min(3600));
    End::Error { code, message, retry_after }
}
