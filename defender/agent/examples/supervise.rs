//! Runs a program under a policy, without any Console: `supervise POLICY.json PROGRAM [ARG…]`.
//!
//! Audits go to the file named by `SUPERVISE_AUDITS` as JSON lines, or to standard error. Whenever the pipe named by
//! `SUPERVISE_RELOAD` is written and closed, the policy file is read again. `SUPERVISE_OPEN` sets fail mode `open`,
//! `SUPERVISE_COMPAT` asks for the compat tier, and while nobody writes to the pipe named by `SUPERVISE_STALL` the sink
//! blocks on every audit of a program start or of a file. With `SUPERVISE_FILES` set, writes to files are
//! watched; with `SUPERVISE_32_BIT` 32-bit programs run; with `SUPERVISE_KEEP` the program becomes process 1;
//! with `SUPERVISE_SLICES` files of programs are read by one piece at a time. For tests, benchmarks and trying things out.
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use defender_agent::{
    enforcement::{Application, AuditSink, FailMode, PolicyHandle, READING, TierReport, Wanted},
    supervisor,
    workload::ENDING,
};
use defender_core::{AuditDraft, CompiledPolicy, Event};
use defender_sys::{
    keeper::{self, Half},
    signals::Signals,
};

struct Lines(Mutex<File>);

impl AuditSink for Lines {
    fn submit(&self, draft: AuditDraft) {
        if matches!(draft.event, Event::Process(_) | Event::File(_))
            && let Some(pipe) = env::var_os("SUPERVISE_STALL")
        {
            let _ = fs::read(pipe);
        }
        let line = serde_json::json!({
            "rule": draft.rule, "effect": draft.effect, "reason": draft.reason, "matched": draft.matched, "event": draft.event,
            "ancestry": draft.ancestry,
        });
        // At once: who reads meanwhile sees whole lines. A reader that is gone is no reason to stop the application.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes());
    }
}

struct Say;

impl TierReport for Say {
    fn report(&self, tier: u8, reasons: Vec<String>) {
        if tier != 1 {
            eprintln!("supervise: tier {tier}: {}", reasons.join("; "));
        }
    }
}

fn main() -> ExitCode {
    let Ok(signals) = Signals::block() else { return ExitCode::from(64) };
    let first = match env::var_os("SUPERVISE_KEEP").map(|_| keeper::split(&signals, &ENDING)) {
        None => None,
        Some(Ok(Half::Defender(keeper))) => Some(keeper),
        Some(Ok(Half::Ended(code))) => return ExitCode::from(code),
        Some(Err(_)) => return ExitCode::from(64),
    };
    let mut words = env::args_os().skip(1);
    let (Some(path), Some(program)) = (words.next(), words.next()) else {
        eprintln!("usage: supervise POLICY.json PROGRAM [ARG…]");
        return ExitCode::from(64);
    };
    let policy = PolicyHandle::default();
    match load(&path) {
        Ok(loaded) => policy.replace(loaded),
        Err(error) => {
            eprintln!("supervise: `{}`: {error}", path.display());
            return ExitCode::from(64);
        }
    }
    follow(path, policy.clone());
    let target = env::var_os("SUPERVISE_AUDITS").unwrap_or_else(|| "/dev/stderr".into());
    let Ok(file) = OpenOptions::new().create(true).append(true).open(target) else { return ExitCode::from(64) };
    let application = Application {
        program,
        arguments: words.collect(),
        environment: env::vars_os().collect(),
        fail_mode: if env::var_os("SUPERVISE_OPEN").is_some() { FailMode::Open } else { FailMode::Closed },
        wanted: if env::var_os("SUPERVISE_COMPAT").is_some() { Wanted::Compat } else { Wanted::Strongest },
        watch_files: env::var_os("SUPERVISE_FILES").is_some(),
        allow_32_bit: env::var_os("SUPERVISE_32_BIT").is_some(),
        reading: if env::var_os("SUPERVISE_SLICES").is_some() { Duration::ZERO } else { READING },
    };
    let audits = Arc::new(Lines(Mutex::new(file)));
    ExitCode::from(supervisor::run(&application, &signals, first, policy, audits, &Say))
}

fn load(path: &std::ffi::OsStr) -> Result<CompiledPolicy, Box<dyn std::error::Error>> {
    Ok(CompiledPolicy::new(serde_json::from_slice(&fs::read(path)?)?)?)
}

/// Reads the policy again whenever a line can be read from the pipe named by `SUPERVISE_RELOAD`.
fn follow(path: std::ffi::OsString, policy: PolicyHandle) {
    let Some(pipe) = env::var_os("SUPERVISE_RELOAD") else { return };
    thread::spawn(move || {
        while fs::read(&pipe).is_ok() {
            match load(&path) {
                Ok(loaded) => policy.replace(loaded),
                Err(error) => eprintln!("supervise: `{}`: {error}", path.display()),
            }
        }
    });
}
