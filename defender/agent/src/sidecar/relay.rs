//! The relay: the socket at which the wrapped containers of the task attach.
//!
//! Everybody in the task can connect, so everything that comes in is treated as hostile: bounded, timed, and nothing is said
//! to anybody who has not proved a container.
use std::{
    collections::VecDeque,
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use defender_core::Chunk;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    table::{Attached, Table},
    token::Tokens,
};
use crate::link::{
    frame,
    message::{FromSidecar, ToSidecar, WorkloadStatus},
};

const ATTACH_TIMEOUT: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const MOST_UNATTACHED: usize = 32;
/// Bytes of an attach; whoever has not proved a container gets no more memory.
const LARGEST_ATTACH: usize = 8 << 10;
/// Waits before accepting again when the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens a listening socket at `path` with these permissions, in place of what an earlier process left there.
///
/// # Errors
/// The system's answer.
pub fn listen(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Connections that have not attached yet, oldest first.
#[derive(Default)]
struct Unattached(Mutex<VecDeque<(u64, AbortHandle)>>);

impl Unattached {
    fn with<T>(&self, change: impl FnOnce(&mut VecDeque<(u64, AbortHandle)>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, number: u64, task: AbortHandle) {
        self.with(|waiting| {
            waiting.retain(|(_, task)| !task.is_finished());
            if waiting.len() >= MOST_UNATTACHED
                && let Some((_, oldest)) = waiting.pop_front()
            {
                oldest.abort();
            }
            waiting.push_back((number, task));
        });
    }

    fn remove(&self, number: u64) {
        self.with(|waiting| waiting.retain(|(other, _)| *other != number));
    }
}

/// Serves the relay for ever.
pub async fn serve(listener: UnixListener, table: Arc<Table>, tokens: Arc<Tokens>) {
    let unattached = Arc::new(Unattached::default());
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        number += 1;
        let connection =
            Connection { number, table: table.clone(), tokens: tokens.clone(), unattached: unattached.clone() };
        // The task cannot run before it is listed: there is one thread, and it is here.
        let task = tokio::spawn(connection.serve(stream));
        unattached.add(number, task.abort_handle());
    }
}

struct Connection {
    number: u64,
    table: Arc<Table>,
    tokens: Arc<Tokens>,
    unattached: Arc<Unattached>,
}

impl Connection {
    async fn serve(self, mut stream: UnixStream) {
        // The errors of one connection are its own affair.
        let attached = match timeout(ATTACH_TIMEOUT, self.attach(&mut stream)).await {
            Ok(Ok(attached)) => attached,
            Ok(Err(message)) => return refuse(&mut stream, &message).await,
            Err(_) => return refuse(&mut stream, "no attach came in time").await,
        };
        self.unattached.remove(self.number);
        let (mut reader, mut writer) = stream.split();
        // Reading and writing are each one future to the end: half a frame is never lost to the other's progress.
        let refusal = tokio::select! {
            result = receive(&mut reader, &attached) => result.err(),
            _ = inform(&mut writer, &attached, &self.table) => None,
        };
        if let Some(message) = refusal {
            refuse(&mut writer, &message).await;
        }
    }

    async fn attach(&self, stream: &mut UnixStream) -> Result<Attached, String> {
        let message = frame::read_at_most(stream, LARGEST_ATTACH).await.map_err(|error| error.to_string())?;
        let Some(ToSidecar::Attach { container, token, instance, .. }) = message else {
            return Err("the first message has to be an attach".into());
        };
        if !self.tokens.proves(&container, &token) {
            self.table.refused(&container);
            return Err("the token is not that of this container".into());
        }
        let source = self.tokens.source(&container, &instance);
        self.table.attach(&container, &instance, source).map_err(|refusal| {
            self.table.refused(&container);
            refusal.to_owned()
        })
    }
}

async fn receive(reader: &mut (impl AsyncRead + Unpin), attached: &Attached) -> Result<(), String> {
    loop {
        match frame::read(reader).await {
            Ok(Some(ToSidecar::Status { policy_hash, tier, tier_reasons, dropped })) => {
                attached.report(WorkloadStatus {
                    container: None,
                    instance: String::new(),
                    policy_hash,
                    tier,
                    tier_reasons,
                    dropped,
                });
            }
            Ok(Some(ToSidecar::Audits { audits })) => attached.receive(audits)?,
            Ok(Some(ToSidecar::Snapshot { id, first, newest, events })) => {
                attached.snapshot(&id, Chunk { first, newest, events })?;
            }
            Ok(Some(ToSidecar::Observations { observed, overflow })) => attached.observe(&observed, overflow),
            Ok(Some(ToSidecar::Attach { .. })) => return Err("this connection is attached already".into()),
            Ok(None) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Sends the policy and the progress of audits, at first and whenever they change.
async fn inform(writer: &mut (impl AsyncWrite + Unpin), attached: &Attached, table: &Table) -> io::Result<()> {
    let mut changes = table.changes();
    let (mut policy, mut progress, mut fetch) = (None, None, None);
    loop {
        changes.borrow_and_update();
        for (present, told) in [(attached.policy(), &mut policy), (attached.progress(), &mut progress)] {
            if told.as_ref() != Some(&present) {
                send(writer, &present).await?;
                *told = Some(present);
            }
        }
        let present = attached.fetch();
        if present.is_some() && fetch != present {
            if let Some(message) = &present {
                send(writer, message).await?;
            }
            fetch = present;
        }
        // The table, which the attachment holds, has the sender.
        let _ = changes.changed().await;
    }
}

async fn refuse(writer: &mut (impl AsyncWrite + Unpin), message: &str) {
    // Whoever does not read it does not want to know.
    let _ = send(writer, &FromSidecar::Refused { message: message.to_owned() }).await;
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), message: &FromSidecar) -> io::Result<()> {
    timeout(WRITE_TIMEOUT, frame::write(writer, message)).await.map_err(io::Error::from)?
}
