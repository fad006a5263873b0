//! `defender waf test`: what the firewall would do with one request, and why. Nothing is sent anywhere.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use defender_waf::{
    Ruleset,
    firewall::{Answer, Client, Endpoint, Exchange, Firewall, Policy, Report, Ruling, Standing},
    http::{Chunked, Framing, Head, read_head},
    inspection::Profile,
    rule::{Phase, Piece, Step, Template},
    ruleset::LeftOut,
};
use serde_json::{Value, json};

use crate::rules;

/// How the mode is called.
pub const USAGE: &str =
    "usage: defender waf test --policy FILE [--rules DIRECTORY] [--port PORT] [--from ADDRESS] < REQUEST";
/// No request that is tried by hand is larger.
const MOST_BYTES: u64 = 64 << 20;
/// The number that a block page shows; no event is kept.
const EVENT: &str = "test";

/// What is asked on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// A policy as the Console hands it to Defenders (`contract/waas-policy.schema.json`).
    pub policy: PathBuf,
    /// A folder with `*.conf` and `*.data`, in place of the rules that are built in.
    pub rules: Option<PathBuf>,
    /// The port on which the request is taken to come in; without it the policy's first.
    pub port: Option<u16>,
    /// The address from which it is taken to come.
    pub from: IpAddr,
}

impl Asked {
    /// Reads the words after `waf test`.
    ///
    /// # Errors
    /// The word that means nothing, or what is missing, in one sentence.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let (mut policy, mut rules, mut port) = (None, None, None);
        let mut from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut words = words.iter();
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{option}` needs a value"))?;
            let wrong = |what| format!("`{option} {value}` is no {what}");
            match option.as_str() {
                "--policy" => policy = Some(PathBuf::from(value)),
                "--rules" => rules = Some(PathBuf::from(value)),
                "--port" => port = Some(value.parse().map_err(|_| wrong("port"))?),
                "--from" => from = value.parse().map_err(|_| wrong("address"))?,
                _ => return Err(format!("`{option}` is no option of `defender waf test`")),
            }
        }
        let policy = policy.ok_or("`--policy FILE` is missing")?;
        Ok(Self { policy, rules, port, from })
    }
}

/// Judges the request on `input` (one raw HTTP/1.1 request) as `asked`.
///
/// # Errors
/// A file that cannot be read or understood, in one sentence.
pub fn run(asked: &Asked, input: impl Read) -> Result<Value, String> {
    let text = fs::read(&asked.policy).map_err(|error| unreadable(&asked.policy, &error))?;
    let policy = Policy::parse(&text).map_err(|error| format!("`{}`: {error}", asked.policy.display()))?;
    let ruleset = ruleset(policy.profile, asked.rules.as_deref())?;
    let client = client(&policy, asked);
    let (count, texts) = (ruleset.len(), messages(&ruleset));
    let left_out: Vec<Value> = ruleset.left_out.iter().map(left_out).collect();
    let firewall = Firewall::new(policy, Arc::new(ruleset)).map_err(|error| error.to_string())?;
    let mut answer = judge(&firewall, client, &request(input)?);
    answer["rulesLoaded"] = json!(count);
    answer["rulesLeftOut"] = json!(left_out);
    for report in answer["reports"].as_array_mut().into_iter().flatten() {
        let rules = report["rules"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        report["messages"] = rules.map(|id| texts.get(&id).cloned().unwrap_or_default()).collect();
    }
    Ok(answer)
}

/// Who is taken to send the request, and to which port: the one asked for, or the first of the policy.
fn client(policy: &Policy, asked: &Asked) -> Client {
    let mut endpoints = policy.applications.iter().flat_map(|application| &application.endpoints);
    let fits = |endpoint: &&Endpoint| asked.port.is_none_or(|port| [0, port].contains(&endpoint.exposed_port));
    let endpoint = endpoints.find(fits).cloned().unwrap_or_default();
    Client { peer: asked.from, port: asked.port.unwrap_or(endpoint.exposed_port), secure: endpoint.tls }
}

/// What rules say of themselves, by their numbers; what they would fill in is left out.
fn messages(ruleset: &Ruleset) -> BTreeMap<u64, String> {
    let phases = [Phase::RequestHead, Phase::RequestBody, Phase::ResponseHead, Phase::ResponseBody, Phase::Logging];
    let rules = phases.into_iter().flat_map(|phase| ruleset.steps(phase)).filter_map(|step| match step {
        Step::Rule(rule) => Some(rule),
        Step::Marker(_) => None,
    });
    rules.map(|rule| (u64::from(rule.id), plain(&rule.message))).collect()
}

fn plain(text: &Template) -> String {
    let pieces = text.0.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(String::from_utf8_lossy(text)),
        Piece::Variable(..) | Piece::Kept(_) => None,
    });
    pieces.collect()
}

/// What the firewall makes of a raw request: `{"outcome":"pass"|"refused"|"malformed", "stage", "status", …, "reports"}`.
#[must_use]
pub fn judge(firewall: &Firewall, client: Client, raw: &[u8]) -> Value {
    let (head, body) = match parts(raw) {
        Ok(parts) => parts,
        Err(problem) => return json!({"outcome": "malformed", "status": 400, "problem": problem, "reports": []}),
    };
    let standing = Standing::default();
    let mut exchange = firewall.open(&head, client, &standing, 0, EVENT);
    let application = exchange.application().map(|application| application.app_id.clone());
    let refused = refusal(&mut exchange, &body);
    let reports: Vec<Value> = exchange.finish().iter().map(told).collect();
    match refused {
        None => {
            json!({"outcome": "pass", "application": application, "status": null, "reports": reports})
        }
        Some((stage, Answer { status, headers, body })) => json!({
            "outcome": "refused",
            "application": application,
            "stage": stage,
            "status": status,
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
            "reports": reports,
        }),
    }
}

fn refusal(exchange: &mut Exchange<'_>, body: &[u8]) -> Option<(&'static str, Answer)> {
    let answer = |stage, ruling| match ruling {
        Ruling::Pass => None,
        Ruling::Answer(answer) => Some((stage, answer)),
    };
    answer("head", exchange.request_head())
        .or_else(|| answer("body", exchange.request_body(body)))
        .or_else(|| answer("body", exchange.request_end()))
}

/// The head and the body without its framing, or what is wrong with them.
fn parts(raw: &[u8]) -> Result<(Head, Vec<u8>), String> {
    let (head, taken) = read_head(raw)
        .map_err(|refusal| refusal.to_string())?
        .ok_or("the head is not whole: its lines end with CR LF, and an empty line ends it")?;
    let rest = &raw[taken..];
    let short = || format!("the body has {} bytes, fewer than its head says", rest.len());
    let body = match head.framing() {
        Framing::None => Vec::new(),
        Framing::Length(length) => {
            usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(short)?.to_vec()
        }
        Framing::Chunked => {
            let mut body = Vec::new();
            let progress = Chunked::default().read(rest, &mut body).map_err(|error| error.to_string())?;
            if !progress.done {
                return Err(short());
            }
            body
        }
    };
    Ok((head, body))
}

fn request(input: impl Read) -> Result<Vec<u8>, String> {
    let mut raw = Vec::new();
    input.take(MOST_BYTES + 1).read_to_end(&mut raw).map_err(|error| format!("no request can be read: {error}"))?;
    if raw.len() as u64 > MOST_BYTES {
        return Err(format!("the request is larger than {MOST_BYTES} bytes"));
    }
    Ok(raw)
}

fn ruleset(profile: Profile, folder: Option<&Path>) -> Result<Ruleset, String> {
    let files = match folder {
        None => rules::built_in(),
        Some(folder) => rule_files(folder).map_err(|error| unreadable(folder, &error))?,
    };
    if files.is_empty() {
        return Err(match folder {
            None => "this Defender is built without rules: name a folder with `--rules`".to_owned(),
            Some(folder) => format!("`{}` has no files of rules (`*.conf`)", folder.display()),
        });
    }
    rules::load(profile, &files).map_err(|error| error.to_string())
}

fn left_out(rule: &LeftOut) -> Value {
    json!({"rule": rule.rule, "file": rule.file, "line": rule.line, "reason": rule.reason})
}

/// A report as an audit would have it, with the effect and the policy's rule.
fn told(report: &Report) -> Value {
    let mut event = json!(report.event());
    event["effect"] = json!(report.effect);
    event["rule"] = json!(report.rule);
    event
}

/// A folder's files of rules and words, and those of its `rules`, as a release is unpacked. Settings come first, however a rule set
/// calls them (`crs-setup.conf`, `crs-setup.conf.example`, `setup.conf`), as its rules need them.
fn rule_files(folder: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let within = folder.join("rules");
    let within = within.is_dir().then(|| fs::read_dir(&within)).transpose()?;
    for entry in fs::read_dir(folder)?.chain(within.into_iter().flatten()) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = if name == "crs-setup.conf.example" { "crs-setup.conf".to_owned() } else { name };
        if rules::is_rules(&name) || rules::is_data(&name) {
            files.push((name, fs::read(entry.path())?));
        }
    }
    files.sort_by_key(|(name, _)| (!name.contains("setup"), name.clone()));
    Ok(files)
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("`{}` cannot be read: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: &[u8] =
        br#"{"rule":"shop","applications":[{"appID":"a","endpoints":[{"exposedPort":80,"internalPort":8080}]}]}"#;
    const RULE: &[u8] = b"SecRule ARGS|REQUEST_BODY \"@contains attack\" \"id:1,phase:2,deny,status:403\"\n\
        SecRule REQUEST_URI \"@contains early\" \"id:2,phase:1,deny,status:418\"";
    const CLIENT: Client = Client { peer: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 80, secure: false };

    fn firewall() -> Firewall {
        let ruleset = rules::load(Profile::CrsStrict, &[("rules.conf".to_owned(), RULE.to_vec())]).unwrap();
        Firewall::new(Policy::parse(POLICY).unwrap(), Arc::new(ruleset)).unwrap()
    }

    fn judged(raw: &str) -> Value {
        judge(&firewall(), CLIENT, raw.as_bytes())
    }

    #[test]
    /// What is broken is told apart from what is let through.
    fn a_broken_request_is_malformed() {
        for (raw, problem) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", "the head is not whole"),
            ("GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort", "5 bytes, fewer"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", "fewer"),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk"),
        ] {
            let answer = judged(raw);
            assert_eq!(answer["outcome"], "malformed", "{raw:?}");
            assert!(answer["problem"].as_str().unwrap().contains(problem), "{answer}");
        }
        assert_eq!(judged("GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n")["outcome"], "pass");
    }

    proptest! {
        /// Whatever stands on standard input is judged or called malformed.
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            for raw in [bytes.clone(), [head.as_slice(), &bytes].concat()] {
                let answer = judge(&firewall(), CLIENT, &raw);
                prop_assert!(["pass", "refused", "malformed"].contains(&answer["outcome"].as_str().unwrap()));
            }
        }
    }

    #[test]
    /// A release as it is unpacked is taken as a whole, and what of it is not judged is told.
    fn a_releases_folder_is_taken() {
        let folder = std::env::temp_dir().join(format!("bartizan-judge-{}", std::process::id()));
        fs::create_dir_all(folder.join("rules")).unwrap();
        let refuses = "SecRule ARGS \"@contains attack\" \"id:3,phase:1,deny,status:403\"";
        let rules = format!("{refuses}\nSecRule ARGS \"@rx (?=x)\" id:4,phase:1");
        fs::write(folder.join("rules/a.conf"), rules).unwrap();
        fs::write(folder.join("crs-setup.conf.example"), "SecAction id:5,phase:1,pass,nolog").unwrap();
        fs::write(folder.join("policy.json"), POLICY).unwrap();
        let asked = Asked {
            policy: folder.join("policy.json"),
            rules: Some(folder.clone()),
            port: None,
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };

        let answer = run(&asked, &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..]).unwrap();
        fs::remove_dir_all(&folder).unwrap();

        let reason = "look-aheads need more than linear time";
        assert_eq!(answer["rulesLeftOut"], json!([{"rule": 4, "file": "a.conf", "line": 2, "reason": reason}]));
        assert_eq!(answer["outcome"], "pass");
    }

    #[test]
    /// A command line is read whole, or refused by the word that means nothing.
    fn the_command_line_is_read() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let asked = Asked::parse(&words("--policy p --rules r --port 81 --from ::1")).unwrap();
        let whole = ("p".into(), Some("r".into()), Some(81), "::1".parse().unwrap());
        assert_eq!((asked.policy, asked.rules, asked.port, asked.from), whole);
        for (line, problem) in [
            ("", "`--policy FILE` is missing"),
            ("--policy", "`--policy` needs a value"),
            ("--policy p --port x", "`--port x` is no port"),
            ("--policy p --from x", "`--from x` is no address"),
            ("--other p", "`--other` is no option"),
        ] {
            assert!(Asked::parse(&words(line)).unwrap_err().contains(problem), "{line}");
        }
    }
}
