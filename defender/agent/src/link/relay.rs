//! The link of a wrapped container: a client of the sidecar's socket.
use std::{
    future::pending,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use defender_core::{Backoff, Chunk, message::MOST_AUDITS};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    time::{Instant, sleep},
};

use super::{
    background::{Stop, stopped},
    desk::Desk,
    frame, identity,
    message::{FromSidecar, PROTOCOL, ToSidecar, WorkloadStatus},
};
use crate::recorder::{Fetch, Gatherer, OBSERVE_EVERY, Observing};

/// The sidecar is on this very host: it is asked again soon.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Where the sidecar's socket is, below the directory that it shares.
#[must_use]
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("run/defender.sock")
}

/// Which container this is, and the proof.
#[derive(Clone)]
pub struct Attachment {
    /// Container name.
    pub container: String,
    /// Its token.
    pub token: String,
}

/// Keeps the desk attached to the sidecar until told to stop; resends after every break what the sidecar did not commit.
pub async fn run(socket: PathBuf, attachment: Attachment, desk: Arc<Desk>, mut stop: Stop) {
    let mut backoff = Backoff::default();
    let mut said = String::new();
    loop {
        let began = Instant::now();
        let result = tokio::select! {
            result = attach(&socket, &attachment, &desk) => result,
            () = stopped(&mut stop) => return,
        };
        desk.rewind();
        let reason = result.map_or_else(|error| error.to_string(), |()| "the sidecar closed the connection".into());
        if reason != said {
            crate::say!("bartizan: not attached to the sidecar: {reason}; trying again");
            said = reason;
        }
        let delay = backoff.broken(began.elapsed(), identity::random()).min(LONGEST_DELAY);
        tokio::select! {
            () = sleep(delay) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn attach(socket: &Path, attachment: &Attachment, desk: &Desk) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let hello = ToSidecar::Attach {
        protocol: PROTOCOL,
        container: attachment.container.clone(),
        token: attachment.token.clone(),
        instance: desk.instance().to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    send(&mut stream, &hello).await?;
    let (mut reader, mut writer) = stream.split();
    // Reading and writing are each one future to the end: half a frame is never lost to the other's progress.
    tokio::select! {
        result = receive(&mut reader, desk) => result,
        error = report(&mut writer, desk) => Err(error),
    }
}

async fn receive(reader: &mut (impl AsyncRead + Unpin), desk: &Desk) -> io::Result<()> {
    while let Some(message) = frame::read(reader).await? {
        match message {
            FromSidecar::Policy { hash, policy } => {
                let Some((hash, policy)) = hash.zip(policy) else {
                    desk.none_to_be_had();
                    continue;
                };
                if let Err(error) = desk.apply(hash, policy) {
                    crate::say!("bartizan: the policy was refused, the last one stays: {error}");
                }
            }
            FromSidecar::Ack { received, committed } => desk.acknowledge(received, committed),
            FromSidecar::Fetch { id, after } => desk.fetch(Fetch { id, after }),
            FromSidecar::Refused { message } => return Err(io::Error::other(message)),
            FromSidecar::Other => {}
        }
    }
    Ok(())
}

async fn report(writer: &mut (impl AsyncWrite + Unpin), desk: &Desk) -> io::Error {
    match report_while_it_works(writer, desk).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => pending().await, // The reader knows why.
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn report_while_it_works(
    writer: &mut (impl AsyncWrite + Unpin),
    desk: &Desk,
) -> io::Result<std::convert::Infallible> {
    let mut reported = None;
    loop {
        let status = desk.status();
        if reported.as_ref() != Some(&status) {
            send(writer, &message(&status)).await?;
            reported = Some(status);
        }
        loop {
            let audits = desk.next_batch(MOST_AUDITS);
            if audits.is_empty() {
                break;
            }
            send(writer, &ToSidecar::Audits { audits }).await?;
        }
        if let Some((id, Chunk { first, newest, events })) = desk.record().answer() {
            send(writer, &ToSidecar::Snapshot { id, first, newest, events }).await?;
        }
        if let Some(Observing { number, observed, overflow }) = desk.record().with_gatherer(Gatherer::take_due) {
            send(writer, &ToSidecar::Observations { observed, overflow }).await?;
            // The sidecar is on this very host: what is written to its socket is as good as there.
            desk.learned(number);
        }
        tokio::select! {
            () = desk.due() => {}
            () = sleep(OBSERVE_EVERY / 2) => {}
        }
    }
}

fn message(status: &WorkloadStatus) -> ToSidecar {
    ToSidecar::Status {
        policy_hash: status.policy_hash.clone(),
        tier: status.tier,
        tier_reasons: status.tier_reasons.clone(),
        dropped: status.dropped,
    }
}

/// Waits for the sidecar for as long as it takes: it is on this very host, its end shows at once, and meanwhile policies
/// still come in.
async fn send(writer: &mut (impl AsyncWrite + Unpin), message: &ToSidecar) -> io::Result<()> {
    frame::write(writer, message).await
}
