//! Finding the program to start, as a container runtime would: by path, or along `PATH` of the application's environment.
use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use defender_sys::spawn::Launch;
use thiserror::Error;

use super::process::is_program;
use crate::enforcement::Application;

/// Where programs are looked for when the environment has no `PATH` (execvp(3) leaves this to the system; this is Docker's).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the application cannot be started.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProgramError {
    /// There is no such program.
    #[error("`{0}` is not a program: there is no such file, or none along PATH")]
    Missing(String),
    /// It is there and cannot be executed.
    #[error("`{0}` is not a program: it is no executable file")]
    NotExecutable(String),
    /// An argument has a NUL byte in it.
    #[error("an argument of `{0}` holds a NUL byte")]
    Nul(String),
}

impl ProgramError {
    /// The exit code that shells use for this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Missing(_)) { 127 } else { 126 }
    }
}

/// Turns an application into what the kernel wants.
///
/// # Errors
/// [`ProgramError`] when it cannot be started.
pub fn prepare(application: &Application) -> Result<Launch, ProgramError> {
    let name = application.program.to_string_lossy().into_owned();
    let program = locate(&application.program, &application.environment)?;
    let nul = |_| ProgramError::Nul(name.clone());
    let mut arguments = vec![CString::new(application.program.as_bytes()).map_err(nul)?];
    for argument in &application.arguments {
        arguments.push(CString::new(argument.as_bytes()).map_err(nul)?);
    }
    let mut environment = Vec::new();
    for (key, value) in &application.environment {
        let entry = [key.as_bytes(), b"=", value.as_bytes()].concat();
        environment.push(CString::new(entry).map_err(nul)?);
    }
    let program = CString::new(program.into_os_string().into_vec()).map_err(nul)?;
    Ok(Launch {
        program,
        arguments,
        environment,
        watch_files: application.watch_files,
        allow_32_bit: application.allow_32_bit,
    })
}

fn locate(program: &OsStr, environment: &[(OsString, OsString)]) -> Result<PathBuf, ProgramError> {
    let name = || program.to_string_lossy().into_owned();
    if program.as_bytes().contains(&b'/') {
        return match Path::new(program) {
            path if is_program(path) => Ok(path.to_owned()),
            path if path.exists() => Err(ProgramError::NotExecutable(name())),
            _ => Err(ProgramError::Missing(name())),
        };
    }
    let path = environment.iter().find(|(key, _)| key == "PATH").map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    std::env::split_paths(path)
        .map(|directory| directory.join(program))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| ProgramError::Missing(name()))
}
