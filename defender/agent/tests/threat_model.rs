//! `docs/threat-model.md` and the tests agree.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

/// The threat model's list of tests names none that is not there, and has one for every file that it speaks of.
#[test]
fn the_threat_model_names_tests_that_exist() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(top.join("docs/threat-model.md")).unwrap();
    let list = text.split("## 9.").nth(1).unwrap();
    let (mut source, mut named) = (String::new(), 0);
    for row in list.lines().filter(|line| line.starts_with("| ")) {
        for word in row.split('`').skip(1).step_by(2) {
            if Path::new(word).extension().is_some() {
                let folders = ["defender/agent/tests", "defender/waf", "console/tests", "e2e"];
                let place = folders.iter().map(|folder| top.join(folder).join(word)).find(|place| place.exists());
                source = fs::read_to_string(place.expect(word)).unwrap();
            } else {
                let is_there = ["fn", "def"].iter().any(|kind| source.contains(&format!("{kind} {word}(")));
                assert!(is_there, "`{word}` is not there: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 50, "{named}");
}
