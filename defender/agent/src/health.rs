//! `defender fargate healthcheck`: asks the sidecar of this container.
use std::{io::Read, os::unix::net::UnixStream, path::Path, time::Duration};

use crate::sidecar::health::{HEALTHY, socket};

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the sidecar that shares `directory`; `Err` says in one sentence why the task must not start yet.
///
/// # Errors
/// The sidecar cannot be asked, or it has not all policies.
pub fn check(directory: &Path) -> Result<(), String> {
    match ask(directory) {
        Ok(answer) if answer == HEALTHY => Ok(()),
        Ok(answer) => Err(String::from_utf8_lossy(&answer).trim().to_owned()),
        Err(error) => Err(format!("the sidecar cannot be asked: {error}")),
    }
}

fn ask(directory: &Path) -> std::io::Result<Vec<u8>> {
    let stream = UnixStream::connect(socket(directory))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    stream.take(256).read_to_end(&mut answer)?;
    Ok(answer)
}
