//! What the environment may say, and what is said about the rest.
#![allow(clippy::expect_used, reason = "a test ends where its ground is missing")]
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use defender_agent::{
    config::{EmbeddedConfig, EntrypointConfig, Environment, SidecarConfig},
    enforcement::FailMode,
};

const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw0";

fn bundle() -> String {
    let pin = "ab".repeat(32);
    STANDARD.encode(format!(
        r#"{{"v":1,"id":"b1","secret":"{SECRET}","pins":["{pin}"],"addresses":["wss://console.test:8084"]}}"#
    ))
}

fn with(base: &[(&str, &str)], changes: &[(&str, &str)]) -> Environment {
    base.iter().chain(changes).copied().collect()
}

fn sidecar(changes: &[(&str, &str)]) -> Result<SidecarConfig, String> {
    let bundle = bundle();
    let base = [
        ("DEFENDER_TYPE", "fargate"),
        ("FARGATE_TASK", "shop"),
        ("DEFENDER_APP_ID", "shop"),
        ("INSTALL_BUNDLE", bundle.as_str()),
        ("DEFENDER_CONTAINERS", r#"[{"name":"web","image":"shop:1"},{"name":"cart"}]"#),
    ];
    SidecarConfig::read(&with(&base, changes)).map_err(|error| error.to_string())
}

fn entrypoint(changes: &[(&str, &str)]) -> Result<EntrypointConfig, String> {
    let base = [("DEFENDER_CONTAINER_NAME", "web"), ("DEFENDER_TOKEN", "0123456789abcdef0123456789abcdef")];
    EntrypointConfig::read(&with(&base, changes)).map_err(|error| error.to_string())
}

/// The sidecar reads its containers, and tries `WS_ADDRESS` before the bundle's addresses.
#[test]
fn the_sidecar_reads_its_environment() {
    let config = sidecar(&[("WS_ADDRESS", "wss://10.0.0.7:8084"), ("DEFENDER_POLICY_TIMEOUT", "5")]).expect("good");
    let addresses: Vec<String> = config.console.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["wss://10.0.0.7:8084", "wss://console.test:8084"]);
    assert_eq!(config.containers.len(), 2);
    assert_eq!((config.fail_mode, config.policy_timeout), (FailMode::Open, Duration::from_secs(5)));
}

/// A container that a template's condition has left out is null in the list; a list of such is none.
#[test]
fn containers_that_were_left_out_are_none() {
    let config =
        sidecar(&[("DEFENDER_CONTAINERS", r#"[null,{"name":"live-web","id":"<Stage>-web"},null]"#)]).expect("good");
    assert_eq!(config.containers.len(), 1);
    assert_eq!(config.containers[0].id.as_deref(), Some("<Stage>-web"));
    sidecar(&[("DEFENDER_CONTAINERS", "[null]")]).expect_err("nothing to speak for");
}

/// Every error is one line that names its variable.
#[test]
fn every_error_names_its_variable() {
    for (name, value) in [
        ("DEFENDER_TYPE", "appEmbedded"),
        ("INSTALL_BUNDLE", ""),
        ("INSTALL_BUNDLE", "%%%"),
        ("INSTALL_BUNDLE", "e30="),
        ("WS_ADDRESS", "http://console.test"),
        ("DEFENDER_CONTAINERS", "[]"),
        ("DEFENDER_CONTAINERS", "{"),
        ("DEFENDER_CONTAINERS", r#"[{"name":"a"},{"name":"a"}]"#),
        ("DEFENDER_FAIL_MODE", "ajar"),
        ("DEFENDER_POLICY_TIMEOUT", "-1"),
        ("DEFENDER_POLICY_TIMEOUT", "86400"),
    ] {
        let error = sidecar(&[(name, value)]).expect_err(value);
        assert!(error.contains(&format!("`{name}`")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// Neither errors nor debug output show a secret.
#[test]
fn no_secret_is_shown() {
    let broken = STANDARD.encode(format!(r#"{{"v":2,"id":"b1","secret":"{SECRET}","pins":[],"addresses":[]}}"#));
    for error in [
        sidecar(&[("INSTALL_BUNDLE", &broken)]).expect_err("version 2"),
        entrypoint(&[("DEFENDER_TOKEN", SECRET)]).expect_err("no token"),
    ] {
        assert!(!error.contains(SECRET), "{error}");
    }
    assert!(!format!("{:?}", sidecar(&[]).expect("good")).contains(SECRET));
    assert!(!format!("{:?}", entrypoint(&[]).expect("good")).contains("0123456789abcdef"));
}

/// The application sees its own environment and nothing that is a secret of ours.
#[test]
fn the_application_sees_its_own_environment() {
    let environment = with(&[("PATH", "/bin"), ("DEFENDER_TOKEN", "t"), ("INSTALL_BUNDLE", "b"), ("MINE", "1")], &[]);
    for seen in [environment.of_wrapped_application(), environment.of_embedded_application()] {
        assert!(seen.contains(&("MINE".into(), "1".into())));
        assert!(!seen.iter().any(|(name, _)| name == "INSTALL_BUNDLE" || name == "DEFENDER_TOKEN"), "{seen:?}");
    }
}

/// An embedded Defender takes its App ID under either name.
#[test]
fn an_app_id_has_two_names() {
    let bundle = bundle();
    for name in ["DEFENDER_APP_ID", "DEFENDER_ID"] {
        let config = EmbeddedConfig::read(&with(&[("INSTALL_BUNDLE", &bundle), (name, "shop:1")], &[])).expect("good");
        assert_eq!(config.console.app_id, "shop:1");
    }
}

/// 32-bit programs may run when that is asked for, in plain words.
#[test]
fn programs_of_32_bits_are_asked_for() {
    let allowed = |value| entrypoint(&[("DEFENDER_ALLOW_32BIT", value)]).map(|config| config.allow_32_bit);
    assert_eq!(["true", "false", ""].map(|value| allowed(value).expect("good")), [true, false, false]);
    assert_eq!(
        allowed("i386").expect_err("no such word"),
        "`DEFENDER_ALLOW_32BIT` is `i386`, only `true` or `false` can be used"
    );
}

/// Files are watched when that is asked for, and a word that means nothing is said to.
#[test]
fn watching_files_is_asked_for() {
    let watches = |value| entrypoint(&[("FILESYSTEM_MONITORING", value)]).map(|config| config.watch_files);
    assert_eq!(["true", "false", ""].map(|value| watches(value).expect("good")), [true, false, false]);
    assert!(!entrypoint(&[]).expect("good").watch_files);
    assert_eq!(
        watches("maybe").expect_err("no such word"),
        "`FILESYSTEM_MONITORING` is `maybe`, only `true` or `false` can be used"
    );
}

/// Ports of the proxy and its certificates are read, shown to nobody, and not given to the application.
#[test]
fn the_proxy_is_asked_for() {
    let config = sidecar(&[("DEFENDER_WAAS_PORTS", "80:8080, 443:8443"), ("DEFENDER_WAAS_CERTIFICATE_SHOP", SECRET)])
        .expect("good");

    assert_eq!(config.waas.ports.0.iter().map(|port| port.exposed).collect::<Vec<_>>(), [80, 443]);
    assert_eq!(config.waas.certificates["DEFENDER_WAAS_CERTIFICATE_SHOP"], SECRET);
    assert!(!format!("{config:?}").contains(SECRET));
    let environment = with(&[("DEFENDER_WAAS_PORTS", "80:8080"), ("DEFENDER_WAAS_CERTIFICATE_A", SECRET)], &[]);
    assert_eq!(environment.of_embedded_application(), []);
    assert_eq!(
        sidecar(&[("DEFENDER_WAAS_PORTS", "80")]).expect_err("no pair"),
        "`DEFENDER_WAAS_PORTS` cannot be used: `80` is not `EXPOSED:APP`, two port numbers from 1 to 65535"
    );
}
