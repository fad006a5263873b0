//! The reverse proxy alone: `proxy [--findings] EXPOSED:APP[,…] POLICY.json RULES.conf…`, until standard input ends.
//!
//! Files of rules ending in `.data` are the words that rules name; without any file the rules are those that are built in. To
//! standard output goes the state once requests are judged, then what is told of them, a line of JSON each; to standard error the
//! state at the end.
//!
//! With `--findings` every request has a line more, `{"client":…,"findings":[{"id","msg","data"},…]}`: all that rules with a log
//! found in it, whether it counts or not.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use defender_agent::{
    enforcement::FailMode,
    rules,
    waas::{Config, Waas, bystanders::Whose, limits::Limits, listening, plane::Reporter},
};
use defender_core::AuditDraft;
use defender_waf::{
    Finding, Ruleset,
    firewall::{Client, Exchange},
    inspection::Profile,
};
use serde::Serialize;
use serde_json::{Value, json};

struct Lines {
    told: AtomicU64,
    findings: bool,
}

impl Reporter for Lines {
    fn report(&self, draft: AuditDraft) {
        say(&draft.numbered(self.told.fetch_add(1, Ordering::Relaxed) + 1));
    }

    fn ended(&self, client: Client, exchange: &mut Exchange<'_>) {
        if self.findings {
            let found: Vec<_> = exchange.found().iter().filter(|finding| finding.logged).map(shown).collect();
            say(&json!({"client": client.peer.to_canonical(), "findings": found}));
        }
    }
}

fn shown(finding: &Finding) -> Value {
    json!({"id": finding.rule, "msg": finding.message, "data": finding.data})
}

fn say(line: &impl Serialize) {
    let mut output = io::stdout().lock();
    // Nobody is left to tell when standard output is closed.
    let _ = serde_json::to_writer(&mut output, line).map(|()| writeln!(output));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = env::args().skip(1).peekable();
    let findings = words.next_if_eq("--findings").is_some();
    let (ports, policy) =
        words.next().zip(words.next()).ok_or("usage: proxy [--findings] EXPOSED:APP[,…] POLICY.json RULES.conf…")?;
    let named: Vec<(String, Vec<u8>)> =
        words.map(|name| fs::read(&name).map(|text| (name, text))).collect::<Result<_, _>>()?;
    let files = if named.is_empty() { rules::built_in() } else { named };
    let waas = Waas::start(Config {
        opened: listening::open_all(&ports.parse()?)?,
        fail_mode: FailMode::Open,
        limits: Limits::default(),
        rules: Box::new(move |profile| compiled(profile, &files)),
        reporter: Arc::new(Lines { told: AtomicU64::new(0), findings }),
        instance: "0".repeat(32),
        certificates: BTreeMap::new(),
        resolvers: Vec::new(),
        secret: [0; 32],
        whose: Whose::Workload,
    })?;
    waas.take_policy("example", Some(&fs::read_to_string(policy)?));
    say(&waas.status());
    io::stdin().read_to_end(&mut Vec::new())?;
    waas.stop();
    eprintln!("{}", waas.status().unwrap_or_default());
    Ok(())
}

fn compiled(profile: Profile, files: &[(String, Vec<u8>)]) -> Result<Arc<Ruleset>, String> {
    rules::load(profile, files).map(Arc::new).map_err(|error| error.to_string())
}
