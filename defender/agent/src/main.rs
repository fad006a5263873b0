//! The Defender: `defender app-embedded | fargate sidecar | fargate entrypoint | fargate healthcheck | waf test |
//! policy test | licences`.
#![forbid(unsafe_code)]

use std::{
    env,
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use defender_agent::{
    config::{Environment, SidecarConfig},
    health, judge, rules, say, sidecar, trial,
    workload::{self, WorkloadError},
};
use defender_sys::{
    keeper::{self, Half, Keeper},
    signals::Signals,
};

/// Shared by the sidecar with the other containers of the task.
const DIRECTORY: &str = "/var/lib/bartizan";
const PROGRAM: &str = "/proc/self/exe";
const BAD_USAGE: u8 = 64;
const USAGE: &str = "usage: defender app-embedded PROGRAM [ARGUMENT…]
       defender fargate entrypoint PROGRAM [ARGUMENT…]
       defender fargate sidecar
       defender fargate healthcheck
       defender waf test --policy FILE [--rules DIRECTORY] [--port PORT] [--from ADDRESS] < REQUEST
       defender policy test < LINES
       defender licences";
const NOTICE: &str = include_str!("../NOTICE");

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let shown: Vec<&str> = words.iter().take(2).map(|word| word.to_str().unwrap_or_default()).collect();
    match (shown.as_slice(), words.len()) {
        (["fargate", "healthcheck"], 2) => match health::check(Path::new(DIRECTORY)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(1, reason),
        },
        (["fargate", "sidecar"], 2) => with_signals(sidecar),
        (["fargate", "entrypoint"], 3..) => with_signals(|signals| {
            protected(signals, |environment, first| {
                workload::entrypoint(environment, signals, first, Path::new(DIRECTORY), command(words, 2))
            })
        }),
        (["app-embedded", ..], 2..) => with_signals(|signals| {
            protected(signals, |environment, first| workload::embedded(environment, signals, first, command(words, 1)))
        }),
        (["waf", "test"], 2..) => waf_test(words),
        (["policy", "test"], 2) => match trial::run(io::stdin().lock(), io::BufWriter::new(io::stdout().lock())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => fail(BAD_USAGE, problem),
        },
        (["licences"], 1) => licences(),
        (["--version"], 1) => {
            println!("defender {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

/// Takes over the signals before there is a second thread.
fn with_signals(mode: impl FnOnce(&Signals) -> ExitCode) -> ExitCode {
    match Signals::block() {
        Ok(signals) => mode(&signals),
        Err(error) => fail(1, format_args!("signals cannot be received: {error}")),
    }
}

fn sidecar(signals: &Signals) -> ExitCode {
    let config = match SidecarConfig::read(&environment()) {
        Ok(config) => config,
        Err(error) => return fail(BAD_USAGE, error),
    };
    match sidecar::run(config, signals, Path::new(DIRECTORY), Path::new(PROGRAM)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

/// Protects a workload, in the child of process 1 where the application is to be process 1 itself.
fn protected(
    signals: &Signals,
    mode: impl FnOnce(&Environment, Option<Keeper>) -> Result<u8, WorkloadError>,
) -> ExitCode {
    let environment = environment();
    let first = match environment.keeps_process_one() {
        Err(error) => return fail(BAD_USAGE, error),
        Ok(false) => None,
        Ok(true) if std::process::id() != keeper::FIRST => {
            say!("bartizan: `DEFENDER_LAUNCH=exec` has no use here: the Defender is not process 1");
            None
        }
        Ok(true) => match keeper::split(signals, &workload::ENDING) {
            Ok(Half::Defender(keeper)) => Some(keeper),
            Ok(Half::Ended(code)) => return ExitCode::from(code),
            Err(error) => {
                return fail(1, format_args!("the Defender cannot leave process 1 to the application: {error}"));
            }
        },
    };
    protect(mode(&environment, first))
}

/// Prints what the firewall would do with the request on standard input.
fn waf_test(words: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = words.into_iter().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    let asked = match judge::Asked::parse(&words) {
        Ok(asked) => asked,
        Err(problem) => return fail(BAD_USAGE, format_args!("{problem}\n{}", judge::USAGE)),
    };
    match judge::run(&asked, io::stdin().lock()) {
        Ok(answer) => print(&format!("{answer:#}\n")),
        Err(problem) => fail(BAD_USAGE, problem),
    }
}

/// Prints what this program is made of, and the licence of the rules in it.
fn licences() -> ExitCode {
    let version = rules::version().unwrap_or_else(|| "none in this build".to_owned());
    print(&format!("{NOTICE}Version: {version}\n\n{}", rules::licence().unwrap_or_default()))
}

/// Writes to standard output; a reader that has seen enough is no failure.
fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(1, format_args!("nothing can be written: {error}"))
        }
        _ => ExitCode::SUCCESS,
    }
}

fn protect(result: Result<u8, WorkloadError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error @ WorkloadError::Config(_)) => fail(BAD_USAGE, error),
        Err(error) => fail(1, error),
    }
}

fn environment() -> Environment {
    env::vars_os().collect()
}

/// The program and its arguments, after the words that name the mode.
fn command(words: Vec<OsString>, mode: usize) -> (OsString, Vec<OsString>) {
    let mut rest = words.into_iter().skip(mode);
    (rest.next().unwrap_or_default(), rest.collect())
}

fn fail(code: u8, reason: impl Display) -> ExitCode {
    say!("bartizan: {reason}");
    ExitCode::from(code)
}
