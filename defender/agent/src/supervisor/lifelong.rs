//! Processes that are traced for life: those that came in from outside, and the whole workload where there is no filter.
//!
//! They run at full speed but for three moments: a new image, a new thread or process, and a signal.
use std::{collections::HashSet, fs};

use defender_sys::{
    Result,
    trace::{self, Happening},
};

/// Rounds of looking for threads that were made while the others were seized; from then on the kernel attaches them for us.
const ROUNDS: usize = 8;

/// The threads that are traced for life. All of this belongs to the thread that waits for children.
#[derive(Default)]
pub struct Lifelong(HashSet<u32>);

impl Lifelong {
    /// Traces all threads of a process, and whatever they start.
    ///
    /// # Errors
    /// `EPERM` when it is traced already or we may not, `ESRCH` when it is gone.
    pub fn seize(&mut self, process: u32) -> Result<()> {
        self.seize_thread(process)?;
        for _ in 0..ROUNDS {
            let entries = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
            let threads = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            // One that has ended meanwhile, or is attached by now, needs nothing.
            if threads.filter(|thread| self.seize_thread(*thread) == Ok(true)).count() == 0 {
                break;
            }
        }
        Ok(())
    }

    fn seize_thread(&mut self, thread: u32) -> Result<bool> {
        if self.0.contains(&thread) {
            return Ok(false);
        }
        trace::seize_for_life(thread)?;
        Ok(self.0.insert(thread))
    }

    /// True when a thread is one of these.
    #[must_use]
    pub fn has(&self, thread: u32) -> bool {
        self.0.contains(&thread)
    }

    /// A new image runs in `process`, whose thread `former` asked for it.
    pub fn on_exec(&mut self, process: u32, former: u32) {
        self.0.remove(&former);
        self.0.insert(process);
        let _ = trace::go_on(process, 0);
    }

    /// Lets a thread that stopped for any other reason go on as it would without us. One that is not known yet was just
    /// started by one that is.
    pub fn on_stop(&mut self, thread: u32, happening: Happening) {
        self.0.insert(thread);
        // A thread that was killed in its stop reports that next.
        let _ = match happening {
            Happening::Signal(signal) => trace::go_on(thread, signal),
            Happening::GroupStop => trace::leave_stopped(thread),
            _ => trace::go_on(thread, 0),
        };
    }

    /// A thread is gone.
    pub fn on_end(&mut self, thread: u32) {
        self.0.remove(&thread);
    }
}
