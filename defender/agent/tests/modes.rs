//! The binary as the platform starts it: exit codes, and one clear line for what is wrong.
#![allow(clippy::expect_used, reason = "a test ends where its ground is missing")]
use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

const SIGTERM: i32 = 15;

fn defender(words: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_defender"));
    command.args(words).env_clear().envs(environment.iter().copied());
    command
}

fn run(words: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = defender(words, environment).output().expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A bundle of a Console at a port where nobody listens.
fn bundle_of_nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let pin = "0".repeat(64);
    let bundle =
        format!(r#"{{"v":1,"id":"b1","secret":"hush","pins":["{pin}"],"addresses":["wss://127.0.0.1:{port}"]}}"#);
    STANDARD.encode(bundle)
}

fn embedded(words: &[&str], timeout: &str, fail_mode: &str) -> Command {
    let words = [&["app-embedded"], words].concat();
    let bundle = bundle_of_nobody();
    let environment = [
        ("INSTALL_BUNDLE", bundle.as_str()),
        ("DEFENDER_APP_ID", "shop"),
        ("DEFENDER_POLICY_TIMEOUT", timeout),
        ("DEFENDER_FAIL_MODE", fail_mode),
    ];
    defender(&words, &environment)
}

fn code(mut command: Command) -> Option<i32> {
    command.output().expect("started").status.code()
}

/// Words that make no mode end with 64 and the usage.
#[test]
fn a_wrong_command_line_shows_the_usage() {
    for words in [&[][..], &["fargate"], &["fargate", "entrypoint"], &["app-embedded"], &["fargate", "sidecar", "x"]] {
        let (code, _, said) = run(words, &[]);

        assert_eq!(code, Some(64), "{words:?}");
        assert!(said.starts_with("usage: defender app-embedded"), "{said}");
    }
}

/// A variable that is missing or wrong ends with 64 and one line that names it, and not the secret beside it.
#[test]
fn a_wrong_environment_is_named_in_one_line() {
    let bundle = bundle_of_nobody();
    let cases = [
        (&["app-embedded", "x"][..], &[("DEFENDER_APP_ID", "shop")][..], "INSTALL_BUNDLE"),
        (&["app-embedded", "x"], &[("INSTALL_BUNDLE", "hush!"), ("DEFENDER_APP_ID", "shop")], "INSTALL_BUNDLE"),
        (&["app-embedded", "x"], &[("INSTALL_BUNDLE", &bundle)], "DEFENDER_APP_ID"),
        (&["fargate", "sidecar"], &[("INSTALL_BUNDLE", &bundle), ("FARGATE_TASK", "shop")], "DEFENDER_CONTAINERS"),
        (&["fargate", "entrypoint", "x"], &[("DEFENDER_CONTAINER_NAME", "web")], "DEFENDER_TOKEN"),
    ];
    for (words, environment, name) in cases {
        let (code, _, said) = run(words, environment);

        assert_eq!(code, Some(64), "{words:?}: {said}");
        assert!(said.starts_with("bartizan: `") && said.lines().count() == 1 && said.contains(name), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

/// Without any policy, fail mode `closed` starts nothing, and `open` runs the application to its own exit code.
#[test]
fn the_fail_mode_decides_what_happens_without_policy() {
    assert_eq!(code(embedded(&["/bin/sh", "-c", "exit 7"], "0", "closed")), Some(78));
    assert_eq!(code(embedded(&["/bin/sh", "-c", "exit 7"], "0", "open")), Some(7));
    assert_eq!(code(embedded(&["/bin/sh", "-c", "kill -9 $$"], "0", "open")), Some(137));
    assert_eq!(code(embedded(&["/nowhere/at-all"], "0", "open")), Some(127));
}

/// The application does not see what was ours.
#[test]
fn the_application_does_not_see_the_secret() {
    let output = embedded(&["/usr/bin/env"], "0", "open").env("SHOP", "1").output().expect("started");

    let seen = String::from_utf8(output.stdout).expect("text");
    assert!(seen.contains("SHOP=1"), "{seen}");
    assert!(!seen.contains("INSTALL_BUNDLE") && !seen.contains("DEFENDER_"), "{seen}");
}

/// A Defender that still waits for its first policy ends when it is told to, and starts nothing.
#[test]
fn a_signal_ends_the_wait_for_a_policy() {
    let mut command = embedded(&["/bin/sh", "-c", "exit 7"], "600", "closed");
    let mut child: Child = command.stderr(Stdio::piped()).spawn().expect("started");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    // It tells of its first vain attempt to connect after it has taken over the signals.
    assert!(lines.next().expect("a line").expect("text").contains("not connected"));

    defender_sys::signals::send(i32::try_from(child.id()).expect("an id"), SIGTERM).expect("sent");

    assert_eq!(child.wait().expect("ended").code(), Some(128 + SIGTERM));
}

/// A health check without a sidecar fails with one line.
#[test]
fn a_health_check_without_a_sidecar_fails() {
    let (code, _, said) = run(&["fargate", "healthcheck"], &[]);

    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
}

/// A raw request on standard input is judged by the rules that are named, settings first, and the answer is JSON.
#[test]
fn one_request_is_judged_without_a_console() {
    let folder = std::env::temp_dir().join(format!("bartizan-judge-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    let policy = folder.join("policy.json");
    std::fs::write(&policy, r#"{"rule":"shop","applications":[{"appID":"a","malformedReq":{"effect":"prevent"}}]}"#)
        .expect("written");
    let rule = "SecRule REQUEST_URI \"@pmFromFile words.data\" \"id:7,phase:1,deny\"";
    std::fs::write(folder.join("a.conf"), rule).expect("written");
    std::fs::write(folder.join("words.data"), "teapot").expect("written");
    let words = ["waf", "test", "--policy", policy.to_str().expect("text"), "--rules", folder.to_str().expect("text")];
    let mut child = defender(&words, &[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let request = b"GET /teapot HTTP/1.1\r\nHost: a\r\n\r\n";
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), request).expect("written");
    let output = child.wait_with_output().expect("ended");
    std::fs::remove_dir_all(&folder).expect("removed");

    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (output.status.code(), &answer["outcome"], &answer["status"]),
        (Some(0), &"refused".into(), &403.into())
    );
    assert_eq!(answer["reports"][0]["rules"], serde_json::json!([7]));
    assert_eq!(answer["stage"], "head");
}

/// The Defender says whose rules are in it, and under which licence.
#[test]
fn it_prints_the_licences_of_what_it_contains() {
    let (code, printed, _) = run(&["licences"], &[]);

    assert_eq!(code, Some(0));
    assert!(printed.contains("OWASP CRS") && printed.contains("Apache License"), "{printed}");
}
