//! Judges raw requests: `judge RULES.conf…` reads frames from standard input and prints a line of JSON for each.
//!
//! Arguments are files of rules in their order; files ending in `.data` are the words that rules name. A frame is a request
//! and a response, each as a length (u32, big endian) and raw HTTP/1.1 bytes; an empty response is none.
//!
//! With `--both` first, every request is judged a second time, rule by rule without the prefilter, and a line has
//! `"differs": true` when that finds anything else.

use std::{
    env, fs,
    io::{self, Read, Write},
    path::Path,
};

use defender_waf::{
    Request, Ruleset, Transaction, Verdict,
    body::{Processor, fill_body},
    http::{Chunked, Framing, Head, Version, fill_head, read_head},
    rule::Phase,
    seclang::{Source, load},
    value::Collection,
};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let both = env::args().nth(1).is_some_and(|first| first == "--both");
    let ruleset = ruleset(1 + usize::from(both))?;
    eprintln!("{} rules", ruleset.len());
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    while let Some(request) = frame(&mut input)? {
        let response = frame(&mut input)?.unwrap_or_default();
        let mut judged = judge(Transaction::new(&ruleset), &ruleset, &request, &response);
        if both && judged != judge(Transaction::one_by_one(&ruleset), &ruleset, &request, &response) {
            judged["differs"] = json!(true);
        }
        writeln!(output, "{judged}")?;
        output.flush()?;
    }
    Ok(())
}

fn ruleset(skipped: usize) -> Result<Ruleset, Box<dyn std::error::Error>> {
    let files: Vec<(String, Vec<u8>)> =
        env::args().skip(skipped).map(|name| fs::read(&name).map(|text| (name, text))).collect::<Result<_, _>>()?;
    let sources = files.iter().map(|(name, text)| Source { name, text });
    let (data, configuration): (Vec<_>, Vec<_>) = sources.partition(|source| is_data(source.name));
    Ok(load(&configuration, &data)?)
}

fn is_data(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "data")
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

fn judge(mut transaction: Transaction<'_>, ruleset: &Ruleset, raw: &[u8], answer: &[u8]) -> serde_json::Value {
    let (head, taken) = match read_head(raw) {
        Ok(Some(found)) => found,
        Ok(None) => return json!({"status": 400, "refused": "the head is not whole"}),
        Err(refusal) => return json!({"status": 400, "refused": refusal.to_string()}),
    };
    let mut request = Request::new();
    fill_head(&mut request, &head);
    request.set(Collection::RemoteAddr, b"127.0.0.1");
    let mut verdict = transaction.judge(Phase::RequestHead, &request, &Request::new());
    if verdict == Verdict::Pass {
        let Some(body) = body(&head, &raw[taken..]) else {
            return json!({"status": 400, "refused": "the body is malformed"});
        };
        let chosen = transaction.body_processor().and_then(Processor::named);
        let by_type = Processor::of_content_type(head.header("content-type").unwrap_or_default());
        let forced = transaction.body_forced();
        fill_body(&mut request, &body, chosen.or(by_type), ruleset.settings.depth_limit, forced);
        verdict = transaction.judge(Phase::RequestBody, &request, &Request::new());
    }
    if verdict == Verdict::Pass {
        verdict = answered(&mut transaction, &request, answer);
    }
    transaction.judge(Phase::Logging, &request, &Request::new());
    let findings: Vec<_> = transaction
        .findings()
        .iter()
        .filter(|finding| finding.logged)
        .map(|finding| {
            json!({"id": finding.rule, "msg": finding.message, "data": finding.data,
            "place": [finding.collection.name(), String::from_utf8_lossy(&finding.name)]})
        })
        .collect();
    let status = match verdict {
        Verdict::Refuse { status, .. } => status,
        Verdict::Pass if head.version() == Version::Unspoken => 505,
        Verdict::Pass => 200,
    };
    json!({"status": status, "findings": findings})
}

fn body(head: &Head, rest: &[u8]) -> Option<Vec<u8>> {
    match head.framing() {
        Framing::None => Some(Vec::new()),
        Framing::Length(length) => rest.get(..usize::try_from(length).ok()?).map(<[u8]>::to_vec),
        Framing::Chunked => {
            let mut body = Vec::new();
            Chunked::default().read(rest, &mut body).ok().filter(|progress| progress.done).map(|_| body)
        }
    }
}

/// Judges a response: a status line, header fields and a body without any coding.
fn answered(transaction: &mut Transaction<'_>, request: &Request, answer: &[u8]) -> Verdict {
    let mut response = Request::new();
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Verdict::Pass };
    let mut lines = answer[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let status = lines.next().and_then(|line| line.split(|byte| *byte == b' ').nth(1)).unwrap_or_default();
    response.set(Collection::ResponseStatus, status);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        response.add(Collection::ResponseHeaders, &line[..colon], value);
        if line[..colon].eq_ignore_ascii_case(b"content-type") {
            response.set(Collection::ResponseContentType, value);
        }
    }
    let verdict = transaction.judge(Phase::ResponseHead, request, &response);
    if verdict != Verdict::Pass {
        return verdict;
    }
    response.set(Collection::ResponseBody, &answer[end + 4..]);
    transaction.judge(Phase::ResponseBody, request, &response)
}
