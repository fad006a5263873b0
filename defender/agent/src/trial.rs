//! `defender policy test`: what policies would do with what happened before. Nothing is enforced, nothing is sent.
//!
//! Standard input is lines of JSON. A line with `policy` is the policy (`contract/defender-policy.schema.json`) by which the
//! lines after it are judged; a line with `event` is one event (`contract/audit.schema.json`) with what is known of it, and is
//! answered by one line.
use std::io::{BufRead, Read, Write};

use defender_core::{
    Change, CompiledPolicy, Context, Decision, DefenderPolicy, Event, Origin, ProcessFacts, Reason, Violation,
    decide_in, detected,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bytes of one line; a policy is the longest.
const LONGEST_LINE: u64 = 4 << 20;

/// One line of the input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Line {
    Policy(Box<DefenderPolicy>),
    Event(Box<Case>),
}

/// What happened, and what is known of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    happened: Event,
    /// What was found then.
    #[serde(default)]
    reason: Option<Reason>,
    /// What gave it away.
    #[serde(default)]
    matched: Option<String>,
    /// The executables above it, the nearest first.
    #[serde(default)]
    ancestors: Vec<String>,
}

/// Judges every event of `input` by the policy before it, and writes the answers.
///
/// # Errors
/// The first line that is not understood, or what cannot be read or written, in one sentence.
pub fn run(mut input: impl BufRead, mut output: impl Write) -> Result<(), String> {
    let mut policy: Option<CompiledPolicy> = None;
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        number += 1;
        line.clear();
        let unreadable = |error| format!("line {number} cannot be read: {error}");
        let length = input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
        if length == 0 {
            return output.flush().map_err(|error| format!("nothing can be written: {error}"));
        }
        if length as u64 > LONGEST_LINE {
            return Err(format!("line {number} is longer than {LONGEST_LINE} bytes"));
        }
        match serde_json::from_slice(&line).map_err(|error| format!("line {number}: {error}"))? {
            Line::Policy(given) => {
                policy = Some(CompiledPolicy::new(*given).map_err(|error| format!("line {number}: {error}"))?);
            }
            Line::Event(case) => {
                let policy = policy.as_ref().ok_or_else(|| format!("line {number}: there is no policy before it"))?;
                let told = told(judged(policy, *case));
                writeln!(output, "{told}").map_err(|error| format!("nothing can be written: {error}"))?;
            }
        }
    }
}

/// Judges one event: as it comes, and as what was found of it then. The stronger decision counts, of equals the first.
fn judged(policy: &CompiledPolicy, case: Case) -> Decision {
    let Case { happened: mut event, reason, matched, ancestors } = case;
    if let Event::Process(process) = &mut event {
        process.facts = recalled(reason, matched.as_deref(), ancestors);
    }
    let context = Context::default();
    let decision = decide_in(policy, &event, context);
    match reason.filter(|reason| needs_watching(*reason)) {
        Some(reason) => stronger(decision, detected(policy, reason, matched, &event, context)),
        None => decision,
    }
}

/// The facts of a program start, as far as the reason that was found then tells them.
fn recalled(reason: Option<Reason>, matched: Option<&str>, ancestors: Vec<String>) -> ProcessFacts {
    let mut facts = ProcessFacts { ancestors, ..ProcessFacts::default() };
    let mark = || matched.unwrap_or_default().to_owned();
    match reason {
        Some(Reason::ModifiedBinary) => facts.change = Change::Modified,
        Some(Reason::NewBinary) => facts.change = Change::New,
        Some(Reason::AlteredPackageBinary) => facts.change = Change::Altered,
        Some(Reason::TmpfsProcess) => facts.origin = Origin::Tmpfs,
        Some(Reason::MemoryProcess) => facts.origin = Origin::Memory,
        Some(Reason::LoaderInvocation) => facts.loaded = Some(mark()),
        Some(Reason::Preload) => facts.preloads = vec![mark()],
        Some(Reason::SetuidUse) => facts.privileged = true,
        Some(Reason::ReverseShell) => facts.socket_as_terminal = true,
        _ => {}
    }
    facts
}

/// True for what is not seen in one event alone: what was found then is taken as found.
fn needs_watching(reason: Reason) -> bool {
    use Reason::{
        BinaryWritten, InjectedProcess, PackedBinary, PortScan, RawSocket, SuspiciousElf, Tampering, UnresolvedAddress,
        UnseenConnection,
    };
    matches!(
        reason,
        PortScan
            | RawSocket
            | UnresolvedAddress
            | UnseenConnection
            | BinaryWritten
            | SuspiciousElf
            | PackedBinary
            | InjectedProcess
            | Tampering
    )
}

fn stronger(one: Decision, other: Decision) -> Decision {
    let strength = |decision: &Decision| match decision {
        Decision::Allow => 0,
        Decision::Alert(_) => 1,
        Decision::Prevent(_) => 2,
    };
    if strength(&other) > strength(&one) { other } else { one }
}

fn told(decision: Decision) -> Value {
    let (effect, violation) = match decision {
        Decision::Allow => return json!({"effect": "allow"}),
        Decision::Alert(violation) => ("alert", violation),
        Decision::Prevent(violation) => ("prevent", violation),
    };
    let Violation { rule, reason, matched } = violation;
    json!({"effect": effect, "rule": rule, "reason": reason, "matched": matched})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: &str = r#"{"policy":{"version":1,"revision":3,"rule":"shop","processes":{"effect":"prevent","allow":[],"deny":["curl"]},"dns":{"effect":"disable","allow":[],"deny":[]},"network":{"effect":"disable","allowAddresses":[],"denyAddresses":[],"allowPorts":[],"denyPorts":[]},"detections":{"portScan":"alert","newBinary":"prevent"}}}"#;

    fn process(path: &str, further: &str) -> String {
        format!(
            r#"{{"event":{{"happened":{{"kind":"process","path":"{path}","invoked":"{path}","arguments":["x"],"pid":1,"parentPid":0,"parentPath":"","user":0,"main":false,"interpreted":false,"invokedIsExe":true}}{further}}}}}"#
        )
    }

    fn answers(lines: &[&str]) -> Result<Vec<Value>, String> {
        let mut output = Vec::new();
        run(lines.join("\n").as_bytes(), &mut output)?;
        Ok(output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect())
    }

    #[test]
    /// Every event is judged by the policy before it, with what was found of it then.
    fn events_are_judged_as_they_were_found() {
        let scan = r#"{"event":{"happened":{"kind":"connection","protocol":"tcp","address":"10.0.0.7","port":22,"pid":1,"path":"/a","resolver":false},"reason":"portScan"}}"#;
        let lines = [
            POLICY,
            &process("/usr/bin/curl", ""),
            &process("/bin/ls", ""),
            &process("/tmp/x", r#","reason":"newBinary""#),
            scan,
        ];
        let found = answers(&lines).unwrap();
        assert_eq!(
            found[0],
            json!({"effect": "prevent", "rule": "shop", "reason": "deniedProcess", "matched": "curl"})
        );
        assert_eq!(found[1], json!({"effect": "allow"}));
        assert_eq!((&found[2]["effect"], &found[2]["reason"]), (&json!("prevent"), &json!("newBinary")));
        assert_eq!((&found[3]["effect"], &found[3]["reason"]), (&json!("alert"), &json!("portScan")));
        assert_eq!(found.len(), 4);
    }

    #[test]
    /// What is not understood is refused with its line, and nothing after it is judged.
    fn a_line_that_is_not_understood_is_named() {
        for (lines, problem) in [
            (vec![process("/bin/ls", "")], "line 1: there is no policy before it"),
            (vec![POLICY.to_owned(), "{}".to_owned()], "line 2:"),
            (vec![POLICY.replace("\"version\":1", "\"version\":2")], "line 1: policy version `2`"),
            (vec![POLICY.to_owned(), process("/bin/ls", r#","other":1"#)], "line 2: unknown field `other`"),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert!(answers(&lines).unwrap_err().contains(problem), "{problem}");
        }
    }

    proptest! {
        /// Whatever stands on standard input is answered or refused.
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = run(bytes.as_slice(), &mut Vec::new());
            let after = [POLICY.as_bytes(), b"\n", &bytes].concat();
            let _ = run(after.as_slice(), &mut Vec::new());
        }
    }
}
