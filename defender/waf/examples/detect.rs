//! Judges raw requests as a profile does: `detect PROFILE RULES…` reads frames from standard input and prints a line of JSON for
//! each, `{"status":…,"rules":[…]}`.
//!
//! `PROFILE` is `crsStrict` or `balanced`; `RULES` are the Core Rule Set's set-up and rules in their order, and the `.data` files
//! that these name. A frame is a length (u32, big endian) and raw HTTP/1.1 bytes.

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
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let profile: Profile = serde_json::from_value(json!(arguments.next().unwrap_or_default()))?;
    let ruleset = ruleset(profile, arguments)?;
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    while let Some(request) = frame(&mut input)? {
        writeln!(output, "{}", judge(&ruleset, profile, &request))?;
        output.flush()?;
    }
    Ok(())
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

fn judge(ruleset: &Ruleset, profile: Profile, raw: &[u8]) -> serde_json::Value {
    let (head, taken) = match read_head(raw) {
        Ok(Some(found)) => found,
        Ok(None) => return json!({"status": 400, "rules": [], "refused": "the head is not whole"}),
        Err(refusal) => return json!({"status": 400, "rules": [], "refused": refusal.to_string()}),
    };
    let Some(content) = content(&head, &raw[taken..]) else {
        return json!({"status": 400, "rules": [], "refused": "the body is malformed"});
    };
    let limits = Limits { held: ruleset.settings.body_limit, depth: ruleset.settings.depth_limit };
    let mut body = Body::new(profile, &head, limits);
    let (mut status, mut rules) = (200, Vec::new());
    let mut rest = &content[..];
    while status == 200 {
        let (taken, due) = body.feed(rest);
        rest = &rest[taken..];
        if rest.is_empty() && due == Due::Nothing && body.end() == Due::Nothing {
            break;
        }
        status = judge_due(ruleset, profile, &head, &mut body, &mut rules);
    }
    json!({"status": status, "rules": rules})
}

/// Judges what is due, with the head before it.
fn judge_due(ruleset: &Ruleset, profile: Profile, head: &Head, body: &mut Body, rules: &mut Vec<u32>) -> u16 {
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
    rules.extend(transaction.findings().iter().filter(|finding| finding.logged).map(|finding| finding.rule));
    match verdict {
        Verdict::Refuse { status, .. } => status,
        Verdict::Pass => 200,
    }
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
