//! Judges raw requests as a profile does: `detect PROFILE RULES…` reads frames from standard input and prints a line of JSON for
//! each, `{"status":…,"rules":[…],"work":…,"overrun":…}`.
//!
//! `PROFILE` is `crsStrict` or `balanced`; `RULES` are the Core Rule Set's set-up and rules in their order, and the `.data` files
//! that these name. A frame is a length (u32, big endian) and raw HTTP/1.1 bytes.
//!
//! `detect PROFILE --mutate COUNT SEED RULES…` takes the frames as seeds, judges so many requests that differ from them in a few
//! places, and prints how much processor time they took, in nanoseconds: `{"most","mean","over","overrun","work","parts"}`, the
//! third how many took more than 100 ms, the fourth how many were cut short by the engine's budget, then the most work of one,
//! and within which time so many of a hundred ended.

mod mutation;

use std::{
    env, fs,
    io::{self, Read, Write},
};

use defender_waf::{
    Request, Ruleset, Transaction, Verdict,
    body::Processor,
    http::{Chunked, Framing, Head, fill_head, read_head},
    inspection::{Body, Due, Limits, Profile, fill_hidden},
    rule::Phase,
    seclang::{Source, load},
    value::Collection,
};
use mutation::Mutator;
use serde_json::{Value, json};

/// Nanoseconds that no request may take.
const LONG: u64 = 100_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let profile: Profile = serde_json::from_value(json!(arguments.next().unwrap_or_default()))?;
    let mut arguments = arguments.peekable();
    if arguments.next_if_eq("--mutate").is_some() {
        let mut number = || arguments.next().unwrap_or_default().parse::<u64>();
        let (count, seed) = (number()?, number()?);
        return mutate(&ruleset(profile, arguments)?, profile, count, seed);
    }
    let ruleset = ruleset(profile, arguments)?;
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    while let Some(request) = frame(&mut input)? {
        writeln!(output, "{}", judge(&ruleset, profile, &request).shown())?;
        output.flush()?;
    }
    Ok(())
}

fn mutate(ruleset: &Ruleset, profile: Profile, count: u64, seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    let (mut input, mut seeds) = (io::stdin().lock(), Vec::new());
    while let Some(seed) = frame(&mut input)? {
        seeds.push(seed);
    }
    let (mut mutator, mut most, mut all, mut over, mut overrun) = (Mutator::new(seed), 0, 0, 0, 0);
    let (mut times, mut dearest) = (Vec::new(), 0);
    for _ in 0..count {
        let request = mutator.request(&seeds);
        let before = spent()?;
        let judged = judge(ruleset, profile, &request);
        let took = spent()? - before;
        if took > LONG {
            let (time, shown) = (took / 1_000_000, request.escape_ascii());
            eprintln!("{time} ms, work {}, states {}: {shown}", judged.work, judged.made);
        }
        times.push(took);
        dearest = dearest.max(judged.work);
        (most, all) = (took.max(most), all + took);
        (over, overrun) = (over + u64::from(took > LONG), overrun + u64::from(judged.overrun));
    }
    times.sort_unstable();
    let part = |thousandths: usize| times.get(times.len().saturating_sub(1) * thousandths / 100_000).copied();
    let parts = json!({"50": part(50_000), "99": part(99_000), "99.9": part(99_900), "99.99": part(99_990)});
    let mean = all / count.max(1);
    println!(
        "{}",
        json!({"most": most, "mean": mean, "over": over, "overrun": overrun, "work": dearest, "parts": parts})
    );
    Ok(())
}

/// Nanoseconds of processor time of this thread (Linux, Documentation/scheduler/sched-stats.rst).
fn spent() -> Result<u64, Box<dyn std::error::Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// What came of a request.
#[derive(Default)]
struct Judged {
    status: u16,
    rules: Vec<u32>,
    refused: Option<String>,
    work: u64,
    made: u64,
    overrun: bool,
}

impl Judged {
    fn refused(why: impl Into<String>) -> Self {
        Self { status: 400, refused: Some(why.into()), ..Self::default() }
    }

    fn shown(&self) -> Value {
        match &self.refused {
            Some(why) => json!({"status": self.status, "rules": [], "refused": why}),
            None => json!({"status": self.status, "rules": self.rules, "work": self.work, "overrun": self.overrun}),
        }
    }
}

/// The first file is the set-up; the profile's rules stand between it and the others.
fn ruleset(profile: Profile, names: impl Iterator<Item = String>) -> Result<Ruleset, Box<dyn std::error::Error>> {
    let files: Vec<(String, Vec<u8>)> =
        names.map(|name| fs::read(&name).map(|text| (name, text))).collect::<Result<_, _>>()?;
    let sources = files.iter().map(|(name, text)| Source { name, text });
    let (data, mut configuration): (Vec<_>, Vec<_>) = sources.partition(|source| source.name.ends_with("data"));
    let setup = configuration.len().min(1);
    configuration.splice(setup..setup, profile.rules());
    Ok(load(&configuration, &data)?)
}

fn frame(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn judge(ruleset: &Ruleset, profile: Profile, raw: &[u8]) -> Judged {
    let (head, taken) = match read_head(raw) {
        Ok(Some(found)) => found,
        Ok(None) => return Judged::refused("the head is not whole"),
        Err(refusal) => return Judged::refused(refusal.to_string()),
    };
    let Some(content) = content(&head, &raw[taken..]) else {
        return Judged::refused("the body is malformed");
    };
    let limits = Limits { held: ruleset.settings.body_limit, depth: ruleset.settings.depth_limit };
    let mut body = Body::new(profile, &head, limits);
    let mut judged = Judged { status: 200, ..Judged::default() };
    let mut rest = &content[..];
    while judged.status == 200 {
        let (taken, due) = body.feed(rest);
        rest = &rest[taken..];
        if rest.is_empty() && due == Due::Nothing && body.end() == Due::Nothing {
            break;
        }
        judge_due(ruleset, profile, &head, &mut body, &mut judged);
    }
    judged
}

/// Judges what is due, with the head before it.
fn judge_due(ruleset: &Ruleset, profile: Profile, head: &Head, body: &mut Body, judged: &mut Judged) {
    let mut request = Request::new();
    fill_head(&mut request, head);
    request.set(Collection::RemoteAddr, b"127.0.0.1");
    let mut transaction = Transaction::new(ruleset);
    let mut verdict = transaction.judge(Phase::RequestHead, &request, &Request::new());
    if verdict == Verdict::Pass {
        fill_hidden(&mut request, head, profile);
        let chosen = transaction.body_processor().and_then(Processor::named);
        body.fill(&mut request, chosen, transaction.body_forced());
        verdict = transaction.judge(Phase::RequestBody, &request, &Request::new());
    }
    judged.rules.extend(transaction.findings().iter().filter(|finding| finding.logged).map(|finding| finding.rule));
    judged.work = judged.work.max(transaction.work());
    judged.made += transaction.made();
    judged.overrun |= transaction.overrun();
    judged.status = match verdict {
        Verdict::Refuse { status, .. } => status,
        Verdict::Pass => 200,
    };
}

fn content(head: &Head, rest: &[u8]) -> Option<Vec<u8>> {
    match head.framing() {
        Framing::None => Some(Vec::new()),
        Framing::Length(length) => rest.get(..usize::try_from(length).ok()?).map(<[u8]>::to_vec),
        Framing::Chunked => {
            let mut body = Vec::new();
            Chunked::default().read(rest, &mut body).ok().filter(|progress| progress.done).map(|_| body)
        }
    }
}
