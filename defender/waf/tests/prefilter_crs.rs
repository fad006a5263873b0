//! The prefilter beside brute force, over every operator of the Core Rule Set (folder `BARTIZAN_CRS`) and the values of its
//! tests and of the folders in `BARTIZAN_PAYLOADS` (separated by colons).
//!
//! Not part of a plain `cargo test`, since it needs those files: `cargo test -p defender-waf --test prefilter_crs`. That asks
//! every operator of some values and of every value some operators; `BARTIZAN_EVERY_PAIR=1`, best with `--release`, asks all.

mod corpus;

use std::path::{Path, PathBuf};

use defender_waf::prefilter::{BitSet, Prefilter, Question, Scratch};

/// Of so many pairs of an operator and a value one is asked, always the same.
const SHARE: usize = 8;

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
    let share = if std::env::var_os("BARTIZAN_EVERY_PAIR").is_some() { 1 } else { SHARE };
    let (mut scratch, mut found) = (Scratch::default(), BitSet::default());
    let (mut candidates, mut pairs) = (0, vec![0_usize; asked.len()]);
    for (place, value) in values.iter().enumerate() {
        prefilter.candidates(value, &mut scratch, &mut found);
        candidates += found.len();
        for (number, asked) in asked.iter().enumerate() {
            if (place + number) % share != 0 || found.contains(number) {
                continue;
            }
            pairs[number] += 1;
            let holds = asked.operator.holds(value, b"");
            assert!(!holds, "`{}` holds for `{}` and was left out", asked.name, String::from_utf8_lossy(value));
        }
    }
    let all = values.len() * asked.len();
    println!(
        "{} values, {} questions: {candidates} candidates, {} pairs asked",
        values.len(),
        asked.len(),
        pairs.iter().sum::<usize>()
    );
    // A filter that leaves nothing out would pass, and be of no use.
    assert!(candidates * 4 < all, "{candidates} of {all} questions are candidates");
    let untried: Vec<&str> =
        asked.iter().zip(&pairs).filter(|(_, pairs)| **pairs == 0).map(|(asked, _)| &asked.name[..]).collect();
    assert!(untried.len() * 20 < asked.len(), "these were never left out, or never asked: {untried:?}");
}
