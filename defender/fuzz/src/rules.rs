//! The Core Rule Set and a firewall with everything on, as targets judge by them.

use std::{
    env, fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use defender_waf::{
    Ruleset,
    firewall::{Firewall, Policy},
    inspection::Profile,
    pack,
    seclang::{Source, load},
};
use serde_json::{Value, json};

const GROUPS: [&str; 14] = [
    "sqli",
    "xss",
    "cmdi",
    "codeInjection",
    "lfi",
    "attackTools",
    "shellshock",
    "malformedReq",
    "ssrf",
    "nosql",
    "ssti",
    "xxe",
    "deserialisation",
    "protocol",
];

/// The rules of the pack that `BARTIZAN_RULES` names, in the default profile.
pub static RULES: LazyLock<Arc<Ruleset>> = LazyLock::new(|| {
    let path = PathBuf::from(env::var("BARTIZAN_RULES").expect("BARTIZAN_RULES names a pack of rules"));
    let files = pack::read(&fs::read(&path).expect("a pack of rules that can be read")).expect("a whole pack");
    let named = |extension: &str| -> Vec<Source<'_>> {
        let files = files.iter().filter(|(name, _)| name.ends_with(extension));
        files.map(|(name, text)| Source { name, text }).collect()
    };
    let mut configuration = named(".conf");
    configuration.splice(1..1, Profile::Balanced.rules());
    Arc::new(load(&configuration, &named(".data")).expect("rules that compile"))
});

/// A firewall that prevents with every group.
pub static FIREWALL: LazyLock<Firewall> = LazyLock::new(|| {
    let mut application = json!({
        "appID": "fuzz",
        "customRules": [{"_id": 1, "effect": "alert", "action": "audit", "name": "own",
            "expression": "req.body contains \"evil\" or lowercase(req.path) contains \"/etc\""}],
    });
    for group in GROUPS {
        application[group] = json!({"effect": "prevent"});
    }
    let policy: Value = json!({"version": 1, "rule": "fuzz", "applications": [application]});
    let policy = Policy::parse(policy.to_string().as_bytes()).expect("a policy that means something");
    Firewall::new(policy, RULES.clone()).expect("a policy that compiles")
});
