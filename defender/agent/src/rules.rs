//! The rules that are built in (build.rs), and how files of rules become a ruleset.

use std::path::Path;

use defender_waf::{
    Ruleset,
    inspection::Profile,
    pack,
    ruleset::RuleError,
    seclang::{self, Source},
};

static PACK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.pack"));

/// The built-in rules as (name, text): `*.conf` in the order in which they are loaded, then the `*.data` that they name. Empty in
/// a Defender that was built without rules.
#[must_use]
pub fn built_in() -> Vec<(String, Vec<u8>)> {
    files().into_iter().filter(|(name, _)| is_rules(name) || is_data(name)).collect()
}

/// The version of the built-in rules and the sum of their module, as `v4.25.0 h1:…`; none without rules.
#[must_use]
pub fn version() -> Option<String> {
    text("VERSION").map(|text| text.trim_end().to_owned())
}

/// The licence of the built-in rules; none without rules.
#[must_use]
pub fn licence() -> Option<String> {
    text("LICENSE")
}

/// Compiles files of rules for a profile, in their order; those named `*.data` are the words that rules name. What the
/// profile adds comes after the first file, the settings.
///
/// # Errors
/// [`RuleError`]: the first thing that is not understood, with file and line.
pub fn load(profile: Profile, files: &[(String, Vec<u8>)]) -> Result<Ruleset, RuleError> {
    let sources = files.iter().map(|(name, text)| Source { name, text });
    let (data, mut configuration): (Vec<_>, Vec<_>) = sources.partition(|source| is_data(source.name));
    let settings = configuration.len().min(1);
    configuration.splice(settings..settings, if files.is_empty() { Vec::new() } else { profile.rules() });
    seclang::load(&configuration, &data)
}

/// True for a file of rules.
#[must_use]
pub fn is_rules(name: &str) -> bool {
    ends_in(name, "conf")
}

/// True for a file of words that rules name.
#[must_use]
pub fn is_data(name: &str) -> bool {
    ends_in(name, "data")
}

fn ends_in(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn text(name: &str) -> Option<String> {
    let (_, text) = files().into_iter().find(|(found, _)| found == name)?;
    String::from_utf8(text).ok()
}

/// What cannot be read has been built in wrongly: a test reads it, so nothing is left to be said here.
fn files() -> Vec<pack::File> {
    pack::read(PACK).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    /// The pack that was built in can be read, and its rules compile; without one there are no rules.
    fn the_built_in_rules_compile() {
        assert_eq!(pack::read(PACK).map(|files| files.is_empty()), Ok(PACK.is_empty()));
        let ruleset = load(Profile::Balanced, &built_in()).unwrap();
        assert_eq!(ruleset.is_empty(), PACK.is_empty());
        assert_eq!(version().is_some(), !PACK.is_empty());
        assert_eq!(licence().is_some_and(|text| text.contains("Apache License")), !PACK.is_empty());
    }

    #[test]
    /// A file of words is found by the rule that names it, wherever it stands in the list.
    fn words_are_found_by_name() {
        let words = ("words.data".to_owned(), b"one\ntwo".to_vec());
        let rule = ("rule.conf".to_owned(), b"SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:1,deny\"".to_vec());
        let own = load(Profile::CrsStrict, &[("settings.conf".to_owned(), Vec::new())]).unwrap().len();
        assert_eq!(load(Profile::CrsStrict, &[words, rule.clone()]).unwrap().len(), own + 1);
        assert!(load(Profile::CrsStrict, &[rule]).unwrap_err().to_string().starts_with("rule.conf:1:"));
    }
}
