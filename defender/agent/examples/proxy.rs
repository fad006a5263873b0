//! The reverse proxy alone: `proxy EXPOSED:APP[,…] POLICY.json RULES.conf…`, until standard input ends.
//!
//! Files of rules ending in `.data` are the words that rules name. What is told of requests goes to standard output, a line of
//! JSON each; the state at the end to standard error.

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
    waas::{Config, Waas, limits::Limits, listening, plane::Reporter},
};
use defender_core::AuditDraft;
use defender_waf::{Ruleset, inspection::Profile};

#[derive(Default)]
struct Lines(AtomicU64);

impl Reporter for Lines {
    fn report(&self, draft: AuditDraft) {
        let audit = draft.numbered(self.0.fetch_add(1, Ordering::Relaxed) + 1);
        // Nobody is left to tell when standard output is closed.
        let _ = serde_json::to_writer(io::stdout().lock(), &audit).map(|()| writeln!(io::stdout().lock()));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = env::args().skip(1);
    let (ports, policy) =
        words.next().zip(words.next()).ok_or("usage: proxy EXPOSED:APP[,…] POLICY.json RULES.conf…")?;
    let files: Vec<(String, Vec<u8>)> =
        words.map(|name| fs::read(&name).map(|text| (name, text))).collect::<Result<_, _>>()?;
    let waas = Waas::start(Config {
        opened: listening::open_all(&ports.parse()?)?,
        fail_mode: FailMode::Open,
        limits: Limits::default(),
        rules: Box::new(move |profile| compiled(profile, &files)),
        reporter: Arc::new(Lines::default()),
        instance: "0".repeat(32),
        certificates: BTreeMap::new(),
        resolvers: Vec::new(),
        secret: [0; 32],
    })?;
    waas.take_policy("example", Some(&fs::read_to_string(policy)?));
    io::stdin().read_to_end(&mut Vec::new())?;
    waas.stop();
    eprintln!("{}", waas.status().unwrap_or_default());
    Ok(())
}

fn compiled(profile: Profile, files: &[(String, Vec<u8>)]) -> Result<Arc<Ruleset>, String> {
    rules::load(profile, files).map(Arc::new).map_err(|error| error.to_string())
}
