//! The answer to the container health check: may the other containers of the task start?
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::UnixListener,
    time::{Instant, sleep, timeout},
};

use super::table::Table;
use crate::enforcement::FailMode;

const PAUSE: Duration = Duration::from_millis(100);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The answer of a sidecar whose task may start.
pub const HEALTHY: &[u8] = b"healthy\n";

/// Where the health check asks, below the directory that the sidecar shares.
#[must_use]
pub fn socket(directory: &Path) -> PathBuf {
    directory.join("run/health.sock")
}

/// Decides whether the task may start.
pub struct Health {
    table: Arc<Table>,
    fail_mode: FailMode,
    patience_ends: Instant,
}

impl Health {
    /// Healthy with policies for all containers; or, with fail mode `open`, once `timeout` from now has passed.
    #[must_use]
    pub fn new(table: Arc<Table>, fail_mode: FailMode, timeout: Duration) -> Self {
        Self { table, fail_mode, patience_ends: Instant::now() + timeout }
    }

    fn answer(&self) -> &'static [u8] {
        let gave_up = self.fail_mode == FailMode::Open && Instant::now() >= self.patience_ends;
        if self.table.complete() || gave_up { HEALTHY } else { b"waiting for policies\n" }
    }
}

/// Answers health checks for ever.
pub async fn serve(listener: UnixListener, health: Health) {
    loop {
        match listener.accept().await {
            // Only root of this container can ask; a check that does not read is of no use to anybody.
            Ok((mut stream, _)) => {
                let _ = timeout(WRITE_TIMEOUT, stream.write_all(health.answer())).await;
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}
