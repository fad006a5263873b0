//! One session on `/channel`: hello, then policies in, status and audits out, until the connection or the Defender ends.
use std::{future::pending, time::Duration};

use defender_core as core;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    background::{Stop, stopped},
    console::{Certificate, End, Speaker, refusal},
    dial::{Broken, Connection, Incoming},
    identity::Key,
    message::{FromConsole, ToConsole},
    protected::Batch,
};
use crate::recorder::Fetch;

/// For how long the Console is given to take the last audits, and then the goodbye.
pub(super) const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether observations are due.
const NEWS_EVERY: Duration = Duration::from_secs(10);
/// Between two reports of the reverse proxy's state.
const WAAS_PACE: Duration = Duration::from_secs(1);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct Session<'a> {
    pub(super) speaker: &'a Speaker,
    pub(super) key: &'a Key,
    pub(super) certificate: &'a mut Certificate,
    pub(super) address: &'a str,
    /// Set once the Console has welcomed us.
    pub(super) worked: &'a mut bool,
}

/// What is known of a session under way.
struct Progress {
    session: core::Session,
    began: Instant,
    heartbeat: Duration,
    heard: Instant,
    ping_at: Instant,
    /// When observations are looked for that nobody announces.
    news_at: Instant,
    renewing: bool,
    waas: WaasTold,
}

/// What the Console was last told of the reverse proxy. Counters change all the time: they are told of now and then.
#[derive(Default)]
struct WaasTold {
    last: Option<(Instant, Value)>,
}

impl WaasTold {
    /// When it is to be told of; none while there is nothing to tell.
    fn due_in(&self, present: Option<&Value>) -> Option<Duration> {
        let present = present?;
        let Some((when, last)) = &self.last else { return Some(Duration::ZERO) };
        let differs = |field: &str| last.get(field) != present.get(field);
        let pace = if ["hash", "error", "ports", "openPorts", "ruleset"].into_iter().any(differs) {
            WAAS_PACE
        } else {
            NEWS_EVERY
        };
        (last != present).then(|| pace.saturating_sub(when.elapsed()))
    }

    fn told(&mut self, present: Option<&Value>) {
        self.last = present.map(|present| (Instant::now(), present.clone()));
    }
}

impl Session<'_> {
    pub(super) async fn run(mut self, mut connection: Connection, mut stop: Stop) -> End {
        match self.serve(&mut connection, &mut stop).await {
            Ok(()) => {
                connection.close(GOODBYE_PATIENCE / 2).await;
                End::Stopped
            }
            Err(end) => end,
        }
    }

    async fn serve(&mut self, connection: &mut Connection, stop: &mut Stop) -> Result<(), End> {
        connection.send(&self.speaker.hello()).await?;
        let mut progress = Progress {
            session: core::Session::default(),
            began: Instant::now(),
            heartbeat: WELCOME_TIMEOUT,
            heard: Instant::now(),
            ping_at: Instant::now() + WELCOME_TIMEOUT,
            news_at: Instant::now() + NEWS_EVERY,
            renewing: false,
            waas: WaasTold::default(),
        };
        let mut goodbye_at: Option<Instant> = None;
        loop {
            if *self.worked {
                self.report(connection, &mut progress).await?;
            }
            if goodbye_at.is_some_and(|end| Instant::now() >= end || progress.session.is_quiet()) {
                connection.send(&ToConsole::Goodbye { reason: "stopped".into() }).await?;
                return Ok(());
            }
            tokio::select! {
                incoming = connection.next() => {
                    progress.heard = Instant::now();
                    if let Incoming::Message(message) = incoming? {
                        self.take(message, &mut progress)?;
                    }
                }
                () = self.speaker.protected.due().notified(), if *self.worked => {}
                () = self.status_due(&progress), if *self.worked => {}
                () = sleep_until(progress.ping_at) => self.ping(connection, &mut progress).await?,
                () = sleep_until(self.certificate.renew_at), if *self.worked && !progress.renewing => {
                    progress.renewing = true;
                    connection.send(&ToConsole::Renew { csr: self.key.request()? }).await?;
                }
                () = stopped(stop), if goodbye_at.is_none() => {
                    goodbye_at = Some(Instant::now() + GOODBYE_PATIENCE);
                    self.speaker.protected.hurry();
                }
                () = sleep_until(progress.news_at), if *self.worked => progress.news_at = Instant::now() + NEWS_EVERY,
                () = wait_until(goodbye_at) => {}
            }
        }
    }

    async fn ping(&self, connection: &mut Connection, progress: &mut Progress) -> Result<(), End> {
        if !*self.worked {
            return Err(Broken::Lost("the console did not welcome us".into()).into());
        }
        if progress.heard.elapsed() > 3 * progress.heartbeat {
            return Err(Broken::Lost("the console is silent".into()).into());
        }
        progress.ping_at = Instant::now() + progress.heartbeat;
        Ok(connection.ping().await?)
    }

    fn take(&mut self, message: FromConsole, progress: &mut Progress) -> Result<(), End> {
        match message {
            FromConsole::Welcome { heartbeat_seconds, max_batch, .. } => {
                crate::say!("bartizan: connected to the console at {}", self.address);
                *self.worked = true;
                progress.session.welcome(max_batch);
                progress.heartbeat = Duration::from_secs(heartbeat_seconds.clamp(1, 3600));
                progress.ping_at = Instant::now() + progress.heartbeat;
            }
            FromConsole::Policies { policies, .. } => self.speaker.protected.take_policies(policies),
            FromConsole::Waas { hash, policy, .. } => {
                let text = policy.map(|policy| policy.to_string());
                self.speaker.protected.take_waas(&hash, text.as_deref());
            }
            FromConsole::Ruleset(part) => self.speaker.protected.take_ruleset(part),
            FromConsole::Ack { source, committed } => {
                progress.session.acknowledged(&source, committed);
                self.speaker.protected.committed(&source, committed);
            }
            FromConsole::Fetch { id, container, after, reason } => {
                if after == 0 {
                    crate::say!("bartizan: the console fetches the record: {reason:?}");
                }
                self.speaker.protected.fetch(container, Fetch { id, after });
            }
            FromConsole::Learned { container, number } => self.speaker.protected.learned(container.as_deref(), number),
            FromConsole::Renewed { certificate, not_after } => {
                *self.certificate = Certificate::new(&certificate, not_after)?;
                progress.renewing = false;
            }
            FromConsole::Error { code, message, retry_after_seconds } => {
                return Err(refusal(code, message, retry_after_seconds));
            }
            FromConsole::Enrolled { .. } | FromConsole::Other => {}
        }
        Ok(())
    }

    /// Sends the status if that is due, and audits while the Console keeps up.
    async fn report(&self, connection: &mut Connection, progress: &mut Progress) -> Result<(), End> {
        let present = self.speaker.protected.statuses();
        let waas = self.speaker.protected.waas();
        let changed = progress.waas.due_in(waas.as_ref()) == Some(Duration::ZERO);
        let news = progress.session.news(progress.milliseconds(), present.clone());
        if news.is_some() || changed {
            progress.waas.told(waas.as_ref());
            let waas = waas.map(|waas| with_discovery(waas, self.speaker.protected.discovery()));
            connection.send(&ToConsole::Status { workloads: news.unwrap_or(present), waas }).await?;
        }
        while let Some(news) = self.speaker.protected.next_news() {
            connection.send(&news).await?;
        }
        while let Some(room) = progress.session.room() {
            let Some(Batch { source, container, audits }) = self.speaker.protected.next_batch(room) else { break };
            progress.session.sent(&source, audits.last().map_or(0, |audit| audit.seq));
            connection.send(&ToConsole::Audits { source, container, audits }).await?;
        }
        Ok(())
    }

    /// Resolves when a status that had to wait for its turn is due.
    async fn status_due(&self, progress: &Progress) {
        let protected = &self.speaker.protected;
        let news =
            progress.session.news_due_in(progress.milliseconds(), &protected.statuses()).map(Duration::from_millis);
        match news.into_iter().chain(progress.waas.due_in(protected.waas().as_ref())).min() {
            Some(wait) => sleep(wait).await,
            None => pending().await,
        }
    }
}

impl Progress {
    fn milliseconds(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// Adds what is told once to the state that is told again and again.
fn with_discovery(mut waas: Value, discovery: Option<Value>) -> Value {
    if let (Some(fields), Some(discovery)) = (waas.as_object_mut(), discovery) {
        fields.insert("discovery".to_owned(), discovery);
    }
    waas
}

async fn wait_until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => sleep(Duration::from_secs(u64::from(u32::MAX))).await,
    }
}
