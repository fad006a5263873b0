//! Golden vectors of the contract, which the Console's tests run too.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the vectors are files, and a broken one fails the test"
)]
use std::{fs, path::PathBuf};

use defender_core::{
    Change, CompiledPolicy, CustomKind, Decision, DefenderPolicy, Event, Origin, ProcessFacts, Reason, Section,
    Severity, Violation, check_script, decide, message,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct DecisionCase {
    name: String,
    policy: DefenderPolicy,
    event: Event,
    #[serde(default)]
    facts: Facts,
    decision: Value,
}

/// What a Defender finds out about a program start; it never travels, so that only the vectors have a form for it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Facts {
    origin: String,
    change: String,
    loaded: Option<String>,
    loaded_sha256: Option<String>,
    script_sha256: Option<String>,
    preloads: Vec<String>,
    privileged: bool,
    socket_as_terminal: bool,
    ancestors: Vec<String>,
}

impl From<Facts> for ProcessFacts {
    fn from(facts: Facts) -> Self {
        let origin = match facts.origin.as_str() {
            "" => Origin::File,
            "tmpfs" => Origin::Tmpfs,
            "deleted" => Origin::Deleted,
            "memory" => Origin::Memory,
            other => panic!("no origin `{other}`"),
        };
        let change = match facts.change.as_str() {
            "" => Change::None,
            "modified" => Change::Modified,
            "new" => Change::New,
            "altered" => Change::Altered,
            other => panic!("no change `{other}`"),
        };
        let Facts { loaded, loaded_sha256, script_sha256, preloads, privileged, .. } = facts;
        let Facts { socket_as_terminal, ancestors, .. } = facts;
        Self {
            origin,
            change,
            loaded,
            loaded_sha256,
            script_sha256,
            preloads,
            privileged,
            socket_as_terminal,
            ancestors,
        }
    }
}

#[derive(Deserialize)]
struct ScriptCase {
    name: String,
    kind: CustomKind,
    script: String,
    ok: bool,
    /// The script in the one form in which scripts are printed, when it is read.
    printed: Option<String>,
    /// What is wrong, and where, when it is not.
    error: Option<String>,
    column: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageCase {
    name: String,
    direction: String,
    message: Value,
    /// `console`: no Defender ever reads it, nor understands all of it.
    #[serde(default)]
    read_by: String,
}

/// The messages of one folder that Defenders read, from each other or from the Console.
fn messages(folder: &str) -> Vec<(PathBuf, MessageCase)> {
    let mut files = vectors::<MessageCase>(folder);
    files.retain(|(_, case)| case.read_by.is_empty());
    files
}

/// The vectors of one folder, each with the file that it stands in.
fn vectors<T: DeserializeOwned>(folder: &str) -> Vec<(PathBuf, T)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contract/vectors").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files =
        files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    let read = |path: PathBuf| {
        let case = serde_json::from_str(&fs::read_to_string(&path).unwrap());
        (path.clone(), case.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    files.map(read).collect()
}

fn described(decision: Decision) -> Value {
    let (effect, Violation { rule, reason, matched }) = match decision {
        Decision::Allow => return json!({"effect": "allow"}),
        Decision::Alert(violation) => ("alert", violation),
        Decision::Prevent(violation) => ("prevent", violation),
    };
    json!({"effect": effect, "rule": rule, "reason": reason, "matched": matched})
}

/// Every vector of a decision is decided as it says.
#[test]
fn decisions_are_as_agreed() {
    let files = vectors::<Vec<DecisionCase>>("decisions");

    let mut seen = 0;
    for (_, cases) in files {
        for DecisionCase { name, policy, mut event, facts, decision } in cases {
            let policy = CompiledPolicy::new(policy).unwrap();
            if let Event::Process(process) = &mut event {
                process.facts = facts.into();
            }
            assert_eq!(described(decide(&policy, &event)), decision, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 250, "only {seen} vectors were found");
}

/// What a detection finds in a vector is not found when the policy has it off: it is the detection that finds it.
#[test]
fn without_its_detection_nothing_is_found() {
    let mut seen = 0;
    for DecisionCase { name, mut policy, mut event, facts, decision } in
        vectors::<Vec<DecisionCase>>("decisions").into_iter().flat_map(|(_, cases)| cases)
    {
        let Ok(reason) = serde_json::from_value::<Reason>(decision["reason"].clone()) else { continue };
        if policy.detections.remove(&reason).is_none() {
            continue;
        }
        if let Event::Process(process) = &mut event {
            process.facts = facts.into();
        }
        let without = described(decide(&CompiledPolicy::new(policy).unwrap(), &event));
        assert_ne!(without["reason"], decision["reason"], "{name}");
        seen += 1;
    }
    assert!(seen >= 90, "only {seen} vectors were found");
}

/// Every script of the vectors is read, or refused where and as it says.
#[test]
fn scripts_are_read_as_agreed() {
    let files = vectors::<Vec<ScriptCase>>("custom-rules");

    let mut seen = 0;
    for ScriptCase { name, kind, script, ok, printed, error, column } in files.into_iter().flat_map(|(_, cases)| cases)
    {
        match check_script(kind, &script) {
            Ok(text) => assert_eq!((ok, Some(text)), (true, printed), "{name}"),
            Err(refused) => {
                assert_eq!((ok, Some(refused.column), Some(refused.message)), (false, column, error), "{name}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 60, "only {seen} vectors were found");
}

/// Severities and sections are those of the contract, and every detection of it is known.
#[test]
fn reasons_are_the_contracts_detections() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contract/detections.json");
    let detections: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();

    assert!(detections.len() >= 35);
    for detection in detections {
        let reason: Reason = serde_json::from_value(detection["name"].clone()).unwrap();
        let severity = match reason.severity() {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        };
        let section = match reason.section() {
            Section::Process => "process",
            Section::Network => "network",
            Section::File => "file",
            Section::Custom => "custom",
            Section::Request => "request",
            Section::Defender => "defender",
        };
        assert_eq!((detection["severity"].as_str(), detection["section"].as_str()), (Some(severity), Some(section)));
        assert!(Reason::ALL.contains(&reason), "{reason:?}");
    }
}

/// What one end may send, read and written again; an error when it is refused.
fn read_and_written(direction: &str, text: &str) -> Result<Value, message::MessageError> {
    fn again<T: DeserializeOwned + serde::Serialize>(text: &str) -> Result<Value, message::MessageError> {
        message::parse::<T>(text.as_bytes()).map(|message| serde_json::from_str(&message::encode(&message)).unwrap())
    }
    match direction {
        "enrol" | "defender" => again::<message::ToConsole>(text),
        "console" => again::<message::FromConsole>(text),
        "entrypoint" => again::<message::ToSidecar>(text),
        "sidecar" => again::<message::FromSidecar>(text),
        other => panic!("no direction `{other}`"),
    }
}

/// Every message of the contract is read, and written as the same JSON.
#[test]
fn messages_survive_reading_and_writing() {
    let files = messages("messages");

    assert!(files.len() >= 20, "only {} vectors were found", files.len());
    for (path, MessageCase { name, direction, message, .. }) in files {
        let written = read_and_written(&direction, &message.to_string());
        assert_eq!(written.unwrap_or_else(|error| panic!("{}: {error}", path.display())), message, "{name}");
    }
}

/// Every bad message is refused, or seen to be of a kind that is not known here.
#[test]
fn bad_messages_are_refused() {
    let files = messages("messages/bad");

    assert!(files.len() >= 15, "only {} vectors were found", files.len());
    for (path, MessageCase { name, direction, message, .. }) in files {
        let written = read_and_written(&direction, &message.to_string());
        assert!(
            written.is_err() || written.is_ok_and(|other| other == json!({"type": "other"})),
            "{}: {name}",
            path.display()
        );
    }
}

/// Fields that a newer end adds are ignored in every message.
#[test]
fn unknown_fields_are_ignored() {
    for (path, MessageCase { direction, message, .. }) in messages("messages") {
        let mut newer = message.clone();
        newer["addedLater"] = json!({"deep": [1, 2, 3]});
        assert_eq!(read_and_written(&direction, &newer.to_string()).unwrap(), message, "{}", path.display());
    }
}
