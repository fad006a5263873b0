//! A link runs on a thread of its own, so that nothing it does can delay the supervisor.
use std::{future::Future, io, thread};

use tokio::{runtime, sync::watch};

/// Becomes true when the link has to end.
pub type Stop = watch::Receiver<bool>;

/// A running link.
pub struct Background {
    stop: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

impl Background {
    /// Starts a link on a new thread; `link` makes its future there.
    ///
    /// # Errors
    /// The system's answer when there is no thread or no poller to be had.
    pub fn start<F: Future<Output = ()>>(link: impl FnOnce(Stop) -> F + Send + 'static) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("link".into()).spawn(move || runtime.block_on(link(stopped)))?;
        Ok(Self { stop, thread })
    }

    /// Lets the link say goodbye and waits for its end.
    pub fn stop(self) {
        self.stop.send_replace(true);
        // A link that panicked has nothing more to say.
        let _ = self.thread.join();
    }
}

/// Resolves when the link has to end.
pub async fn stopped(stop: &mut Stop) {
    // A sender that is gone means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
