//! Putting the Defender where the other containers of the task find it.
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const NAME: &str = "defender";
const HALF_WRITTEN: &str = ".defender.new";

/// Copies `program` (this very process's executable) to `directory/defender`, mode 0755, and makes `directory/run`, mode 0755.
///
/// The copy appears whole or not at all: it is written beside its place, synced and renamed.
///
/// # Errors
/// The system's answer; nothing half-written stays under the final name.
pub fn install(program: &Path, directory: &Path) -> io::Result<()> {
    let (fresh, place) = (directory.join(HALF_WRITTEN), directory.join(NAME));
    remove(&fresh)?;
    let mut source = fs::File::open(program)?;
    // `create_new` follows no link that somebody left under this name.
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = io::copy(&mut source, &mut target)
        .and_then(|_| target.set_permissions(Permissions::from_mode(0o755)))
        .and_then(|()| target.sync_all())
        .and_then(|()| fs::rename(&fresh, &place));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written?;
    fs::File::open(directory)?.sync_all()?;
    make_run(&directory.join("run"))
}

fn make_run(run: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(run) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && run.symlink_metadata()?.is_dir() => {}
        other => other?,
    }
    fs::set_permissions(run, Permissions::from_mode(0o755))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
