//! The prefilter beside brute force, over every operator of the Core Rule Set (folder `BARTIZAN_CRS`) and the values of its
//! tests and of the folders in `BARTIZAN_PAYLOADS` (separated by colons).
//!
//! Not part of a plain `cargo test`, since it needs those files: `cargo test --release -p defender-waf --test prefilter_crs`.

mod corpus;

use std::path::{Path, PathBuf};

use defender_waf::prefilter::{BitSet, Prefilter, Question, Scratch};

/// What the prefilter leaves out holds for none of the values.
#[test]
fn what_is_left_out_never_holds() {
    let rules = corpus::rules_folder();
    let asked = corpus::asked(&rules);
    assert!(
        asked.len() > 200,
        "no rules in `{}`: set BARTIZAN_CRS to the folder of the Core Rule Set",
        rules.display()
    );
    let payloads: Vec<PathBuf> = std::env::var_os("BARTIZAN_PAYLOADS").iter().flat_map(std::env::split_paths).collect();
    let folders: Vec<&Path> = std::iter::once(&*rules).chain(payloads.iter().map(PathBuf::as_path)).collect();
    let values = corpus::values(&folders, &[".yaml", ".yml", ".txt", ".json"]);
    assert!(values.len() > 1000, "no values: set BARTIZAN_PAYLOADS to the folder of the tests");

    let questions: Vec<Question> = asked.iter().map(|asked| asked.question.clone()).collect();
    let prefilter = Prefilter::new(&questions).unwrap();
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    let (mut candidates, mut held) = (0, 0);
    for value in &values {
        prefilter.candidates(value, &mut scratch, &mut found);
        candidates += found.len();
        for (number, asked) in asked.iter().enumerate() {
            let holds = asked.operator.holds(value, b"");
            held += usize::from(holds);
            let shown = String::from_utf8_lossy(value);
            assert!(!holds || found.contains(number), "`{}` holds for `{shown}` and was left out", asked.name);
        }
    }
    let (values, asked) = (values.len(), asked.len());
    println!("{values} values, {asked} questions: {held} hold, {candidates} candidates, no difference");
}
