//! From an application to its first process under the strongest mechanism that the platform allows.
use std::sync::Arc;

use defender_core::Notice;
use defender_sys::{
    Errno, Result, hardening,
    keeper::{self, Keeper},
    probe,
    signals::Signals,
    spawn::{self, Held, Launch, Launched},
};

use super::{
    ending,
    files::FileWatch,
    injected::Sign,
    judge::Judge,
    lifelong::Lifelong,
    network::NetworkWatch,
    program,
    sentry::Sentry,
    tier::{self, Mechanism, Tier},
    watchdog::Watchdog,
};
use crate::enforcement::{Application, AuditSink, FailMode, PolicyHandle, TierReport};

const FAIL_CLOSED: u8 = 78;
const CANNOT_START: u8 = 126;

/// A workload that runs, and what watches it.
pub struct Started {
    pub launched: Launched,
    pub judge: Judge,
    pub network: NetworkWatch,
    pub files: Option<FileWatch>,
    pub tier: Tier,
    pub lifelong: Lifelong,
    pub sentry: Option<Sentry>,
    pub watchdog: Watchdog,
}

/// Starts the application; the exit code to end with when it is not started.
pub fn launch(
    application: &Application,
    signals: &Signals,
    first: Option<Keeper>,
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    report: &dyn TierReport,
) -> std::result::Result<Started, u8> {
    let launch = program::prepare(application).map_err(|error| {
        crate::say!("bartizan: {error}");
        error.exit_code()
    })?;
    let judge = Judge::new(policy, audits);
    hardening::raise_ptrace_capability();
    let tier = find_tier(application, first.is_some(), &judge, report)?;
    // Neither can fail on a kernel that this program runs on; if one does, the next steps still hold.
    let _ = hardening::hide();
    let _ = hardening::adopt_orphans();
    let network = NetworkWatch::start(&judge, tier.traces());
    let files = watch_files(application, &judge, &tier);
    let watchdog = Watchdog::start(judge.clone()).unwrap_or_default();
    let sentry = Sentry::start(judge.clone()).ok();
    let mut lifelong = Lifelong::default();
    let launched = launch_by(tier.mechanism, launch, signals, first, &mut lifelong).map_err(|errno| {
        crate::say!("bartizan: the application cannot be started: {errno}");
        CANNOT_START
    })?;
    if let Some(listener) = &launched.listener {
        watchdog.watch_over(listener);
    }
    if let (Some(sentry), true) = (&sentry, tier.mechanism != Mechanism::None) {
        sentry.begin(if tier.traces() { Sign::Tracer } else { Sign::Filter });
    }
    Ok(Started { launched, judge, network, files, tier, lifelong, sentry, watchdog })
}

/// The watch over writes to files, where it is asked for and the kernel asks us about calls.
fn watch_files(application: &Application, judge: &Judge, tier: &Tier) -> Option<FileWatch> {
    if !application.watch_files {
        return None;
    }
    let problem = match tier.mechanism {
        Mechanism::Asked { .. } | Mechanism::Observed => match FileWatch::start(judge.clone()) {
            Ok(files) => return Some(files),
            Err(error) => error.to_string(),
        },
        Mechanism::Traced { .. } | Mechanism::None => format!("protection is of tier {} here", tier.number),
    };
    judge.notice(Notice::NotEnforcing, &format!("writes to files cannot be judged: {problem}"));
    None
}

/// The self-test, told to the Console and to people.
fn find_tier(
    application: &Application,
    keeps_one: bool,
    judge: &Judge,
    report: &dyn TierReport,
) -> std::result::Result<Tier, u8> {
    let mut tier = match probe::run() {
        Ok(mut probe) => {
            if keeps_one {
                probe.try_on(keeper::FIRST);
            }
            tier::choose(&probe, application.wanted)
        }
        Err(errno) => untested(errno),
    };
    if application.allow_32_bit && !runs_32_bit(tier.mechanism) {
        tier.reasons.push("32-bit programs were asked for, but their system calls cannot be judged here".to_owned());
    }
    report.report(tier.number, tier.reasons.clone());
    if tier.number == 1 {
        return Ok(tier);
    }
    let reasons = tier.reasons.join("; ");
    crate::say!("bartizan: protection is of tier {} here: {reasons}", tier.number);
    if !tier.prevents() {
        judge.notice(Notice::NotEnforcing, &reasons);
        if application.fail_mode == FailMode::Closed {
            crate::say!(
                "bartizan: the application is not started: nothing can be prevented, and the fail mode is `closed`"
            );
            return Err(FAIL_CLOSED);
        }
    }
    Ok(tier)
}

/// True where 32-bit programs can be let run: only one machine has their table, and no tracer of ours reads it.
fn runs_32_bit(mechanism: Mechanism) -> bool {
    cfg!(target_arch = "x86_64") && mechanism != Mechanism::Traced { filtered: true }
}

fn untested(errno: Errno) -> Tier {
    let reasons = vec![format!("the self-test could not be made: {errno}")];
    Tier { mechanism: Mechanism::None, number: 0, reasons }
}

fn launch_by(
    mechanism: Mechanism,
    launch: Launch,
    signals: &Signals,
    first: Option<Keeper>,
    lifelong: &mut Lifelong,
) -> Result<Launched> {
    if let Some(keeper) = first {
        return launch_as_one(mechanism, &launch, keeper, lifelong);
    }
    match mechanism {
        Mechanism::Asked { .. } | Mechanism::Observed => spawn::under_filter(launch, signals),
        Mechanism::Traced { filtered } => {
            let launched = spawn::before_its_program(launch, signals, filtered)?;
            lifelong.seize(launched.child)?;
            launched.open_gate()?;
            Ok(launched)
        }
        Mechanism::None => spawn::without_filter(launch, signals),
    }
}

/// The same where the application is process 1 itself.
fn launch_as_one(mechanism: Mechanism, launch: &Launch, keeper: Keeper, lifelong: &mut Lifelong) -> Result<Launched> {
    let held = match mechanism {
        Mechanism::Asked { .. } | Mechanism::Observed => Held::Asked,
        Mechanism::Traced { filtered } => Held::Traced { filtered },
        Mechanism::None => Held::Free,
    };
    let launched = spawn::as_process_one(keeper, launch, held)?;
    ending::first_is_the_application();
    if let Held::Traced { .. } = held {
        lifelong.seize(launched.child)?;
    }
    launched.open_gate()?;
    Ok(launched)
}
