//! What the Defender finds out about a program start, and from where.
//!
//! At the exec stop all of it is of the new image: `/proc/PID/exe` leads to the loaded file whatever its path leads to by
//! now, and the arguments, the environment and the invoked path lie on a stack on which nothing has run. What a script or
//! the target of a dynamic loader is, is another matter: the interpreter and the loader open them later themselves.
mod change;
mod loader;
mod needs;
mod preload;
mod terminal;

use std::{
    ffi::CString,
    fs::{self, Metadata},
    os::fd::AsFd,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::PathBuf,
    time::{Duration, Instant},
};

use defender_core::{Change, Effect, Origin, ProcessEvent};
use defender_sys::{constants, file};
use ring::digest::Context;

use self::{change::Beginning, preload::Preloads};
pub use self::{loader::is_loader_name, needs::Needs};
use super::{
    descriptor::Descriptors,
    hash::{Late, Remembered, Unfinished},
    package::Packages,
    process,
};

/// Loaders are small; a larger file is none.
const LARGEST_LOADER: u64 = 16 << 20;

/// At a call files may be read for so many times as long as at a stop: a refusal there is clean, and what is not read goes
/// on at the stop.
const AT_THE_CALL: u32 = 2;

/// Gathers facts; remembers what does not change.
pub struct Facts {
    /// When files have to be read.
    end: Instant,
    late: bool,
    reading: Duration,
    beginning: Beginning,
    preloads: Preloads,
    packages: Packages,
    hashes: Remembered<Option<String>>,
    unfinished: Unfinished<Context>,
    loaders: Remembered<bool>,
    in_memory: Remembered<bool>,
    privileged: Remembered<bool>,
    descriptors: Descriptors,
}

/// Paths that lead to the very files, whatever their names lead to.
#[derive(Debug)]
pub struct Links<'a> {
    /// The file that is loaded, or about to be.
    pub image: &'a str,
    /// The status of that file.
    pub status: Option<&'a Metadata>,
    /// The script that it is to interpret.
    pub script: Option<&'a str>,
}

/// Where in a program start the facts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// At the call: the caller still runs its former program.
    Call,
    /// At the stop: the new image is loaded.
    Stop,
}

impl Facts {
    /// Made when nothing of the workload has run yet. `reading` is what reading a file may take at a stop.
    #[must_use]
    pub fn new(needs: &Needs, reading: Duration) -> Self {
        let mut beginning = Beginning::now();
        if needs.new != Effect::Disable || needs.modified != Effect::Disable {
            beginning.take_names();
        }
        Self {
            end: Instant::now(),
            late: false,
            reading,
            beginning,
            preloads: Preloads::default(),
            packages: Packages::at(PathBuf::from("/")),
            hashes: Remembered::default(),
            unfinished: Unfinished::default(),
            loaders: Remembered::default(),
            in_memory: Remembered::default(),
            privileged: Remembered::default(),
            descriptors: Descriptors::default(),
        }
    }

    /// Takes the start of the main program as the measure for those that follow.
    pub fn learn(&mut self, process: u32) {
        self.preloads.learn(process);
    }

    /// Fills in what `needs` asks for; [`Late`] when a file could not be read in time, so that something is missing.
    pub fn fill(
        &mut self,
        event: &mut ProcessEvent,
        links: &Links<'_>,
        needs: &Needs,
        moment: Moment,
    ) -> Result<(), Late> {
        self.late = false;
        self.end = Instant::now() + if moment == Moment::Call { AT_THE_CALL * self.reading } else { self.reading };
        if let Some(status) = links.status {
            self.fill_file(event, links.image, status, needs);
        }
        if let Some(script) = links.script {
            self.fill_script(event, script, needs);
        }
        if moment == Moment::Stop && needs.terminal {
            event.facts.socket_as_terminal = terminal::is_connection(event.pid, &mut self.descriptors);
        }
        if moment == Moment::Stop && needs.preloads && !event.main {
            event.facts.preloads.extend(self.preloads.foreign(event.pid));
        }
        if self.late { Err(Late) } else { Ok(()) }
    }

    fn fill_file(&mut self, event: &mut ProcessEvent, link: &str, status: &Metadata, needs: &Needs) {
        if needs.loader && self.is_loader(&event.path, link, status) {
            fill_loaded(event);
        }
        if needs.origin {
            let in_memory = self.in_memory.get(status, || is_in_memory(link));
            event.facts.origin = origin(&event.path, status, in_memory);
        }
        event.facts.change = self.change(&event.path, link, status, needs);
        if needs.privileged {
            event.facts.privileged = self.privileged.get(status, || is_privileged(link, status));
        }
        if needs.hash {
            event.sha256 = self.hash(link, status);
            event.facts.loaded_sha256 = event.facts.loaded.as_deref().and_then(|loaded| {
                let link = process::link_to(event.pid, loaded);
                self.hash(&link, &fs::metadata(&link).ok()?)
            });
        }
    }

    /// A script comes from somewhere too, and is as new or as old as any program.
    fn fill_script(&mut self, event: &mut ProcessEvent, link: &str, needs: &Needs) {
        let Ok(status) = fs::metadata(link) else { return };
        if needs.hash {
            event.facts.script_sha256 = self.hash(link, &status);
        }
        if needs.origin && event.facts.origin == Origin::File {
            let in_memory = self.in_memory.get(&status, || is_in_memory(link));
            event.facts.origin = origin(&event.invoked, &status, in_memory);
        }
        if event.facts.change == Change::None {
            event.facts.change = self.change(&event.invoked, link, &status, needs);
        }
    }

    fn hash(&mut self, link: &str, status: &Metadata) -> Option<String> {
        let (unfinished, end) = (&mut self.unfinished, self.end);
        let found = self.hashes.try_get(status, || unfinished.sha256(link, status, end));
        self.late |= found.is_err();
        found.ok().flatten()
    }

    /// Of all that is true of a file, what the policy takes most seriously.
    fn change(&mut self, path: &str, link: &str, status: &Metadata, needs: &Needs) -> Change {
        let off = |effect| effect == Effect::Disable;
        if off(needs.modified) && off(needs.new) && off(needs.altered) {
            return Change::None;
        }
        let since = self.beginning.change(path, status, needs);
        let effect = match since {
            Change::Modified => needs.modified,
            Change::New => needs.new,
            Change::None | Change::Altered => Effect::Disable,
        };
        if needs.altered <= effect {
            return since;
        }
        let beginning = &self.beginning;
        let altered = self.packages.altered(path, link, status, self.end, |database| !beginning.is_changed(database));
        self.late |= altered.is_err();
        if altered == Ok(true) { Change::Altered } else { since }
    }

    fn is_loader(&mut self, path: &str, link: &str, status: &Metadata) -> bool {
        let small = status.is_file() && status.len() <= LARGEST_LOADER;
        loader::is_loader_name(path) || (small && self.loaders.get(status, || is_loader_file(link)))
    }
}

/// Where the program stands among the arguments of a loader.
#[must_use]
pub fn program_among(arguments: &[String]) -> Option<usize> {
    loader::order(arguments).map(|order| order.at)
}

fn is_loader_file(link: &str) -> bool {
    let Ok(file) = process::open(link) else { return false };
    loader::is_loader_image(|offset, length| {
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, offset).unwrap_or_default();
        bytes.truncate(read);
        bytes
    })
}

fn fill_loaded(event: &mut ProcessEvent) {
    let Some(order) = loader::order(&event.arguments) else {
        // Nothing to load, only something to say: `--help`, `--list-tunables`.
        return;
    };
    let found = process::find_library(event.pid, order.program.as_bytes());
    event.facts.loaded = Some(found.unwrap_or(order.program));
    event.facts.preloads.extend(order.libraries);
}

fn origin(path: &str, status: &Metadata, in_memory: bool) -> Origin {
    match (status.nlink(), in_memory) {
        (0, _) if path.starts_with("/memfd:") => Origin::Memory,
        (0, _) => Origin::Deleted,
        (_, true) => Origin::Tmpfs,
        (_, false) => Origin::File,
    }
}

fn is_in_memory(link: &str) -> bool {
    // Opened as a path only: a program need not be readable to be run.
    let handle = fs::OpenOptions::new().read(true).custom_flags(constants::O_PATH).open(link);
    handle.is_ok_and(|handle| file::is_in_memory(handle.as_fd()) == Ok(true))
}

/// Under the filter nothing gains privilege by such a file (`no_new_privs`), but trying to is telling.
fn is_privileged(link: &str, status: &Metadata) -> bool {
    let mode = status.permissions().mode();
    let set_id = mode & 0o4000 != 0 || mode & 0o2010 == 0o2010;
    set_id || CString::new(link).is_ok_and(|link| file::has_capabilities(&link))
}
