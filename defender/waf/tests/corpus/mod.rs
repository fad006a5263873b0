//! Rules and values to try the prefilter with, read from folders: the Core Rule Set's rules and tests, lists of payloads.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use defender_waf::{
    operator::{self, Operator},
    prefilter::Question,
    transformation::Transformation,
};

/// An operator of a rule: as the prefilter and as the engine knows it.
pub struct Asked {
    pub name: String,
    pub question: Question,
    pub operator: Operator,
}

/// The folder of the Core Rule Set: rules are `*.conf` and `*.data` files anywhere in it.
pub fn rules_folder() -> PathBuf {
    std::env::var_os("BARTIZAN_CRS").map_or_else(|| "../../.cache/rules/crs4".into(), PathBuf::from)
}

/// All files under a folder whose name ends so, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every different `@rx`, `@pm`, `@pmFromFile` and `@detect…` of the rules, negated ones too.
pub fn asked(folder: &Path) -> Vec<Asked> {
    let data = files(folder, ".data");
    let content = |name: &str| data.iter().find(|path| path.ends_with(name)).and_then(|path| fs::read(path).ok());
    let mut seen = BTreeSet::new();
    for path in files(folder, ".conf") {
        let text = String::from_utf8_lossy(&bytes(&path)).replace("\\\n", " ");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("SecRule ")) {
            if let Some((name, argument)) = operator_of(line) {
                seen.insert((name, argument));
            }
        }
    }
    seen.into_iter()
        .map(|(name, argument)| Asked {
            question: understood(operator::question(&name, &argument, &content)),
            operator: understood(operator::compile(&name, &argument, &content)),
            name: format!("@{name} {}", argument.chars().take(60).collect::<String>()),
        })
        .collect()
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("`{}` cannot be read: {error}", path.display()))
}

fn understood<T, E: std::fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|problem| panic!("{problem}"))
}

/// The operator of a line `SecRule VARIABLES "@name argument" …`.
fn operator_of(line: &str) -> Option<(String, String)> {
    let start = line.find(" \"")? + 2;
    let mut text = String::new();
    let mut escaped = false;
    for next in line[start..].chars() {
        match (escaped, next) {
            (false, '"') => break,
            (true, '"') => {
                text.pop();
                text.push('"');
            }
            _ => text.push(next),
        }
        escaped = next == '\\' && !escaped;
    }
    let text = text.trim_start_matches('!');
    let (name, argument) = match text.strip_prefix('@') {
        Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
        None => ("rx", text),
    };
    let known = ["rx", "pm", "pmfromfile", "detectsqli", "detectxss"];
    (known.contains(&name.to_ascii_lowercase().as_str()) && !argument.contains("%{"))
        .then(|| (name.to_ascii_lowercase(), argument.to_owned()))
}

/// Lines of the files, whole, in pieces and with their escapes undone: attacks, mostly.
pub fn values(folders: &[&Path], endings: &[&str]) -> Vec<Vec<u8>> {
    let mut found = BTreeSet::new();
    for path in folders.iter().flat_map(|folder| endings.iter().flat_map(|ending| files(folder, ending))) {
        for line in bytes(&path).split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            let scalar = [&b"data: "[..], b"uri: ", b"User-Agent: "].iter().find_map(|key| line.strip_prefix(*key));
            let value = scalar.unwrap_or(line);
            let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
            add_forms(value, &mut found);
        }
    }
    found.into_iter().filter(|value| value.len() <= 2000).collect()
}

fn add_forms(value: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    for piece in value.split(|byte| *byte == b'&').flat_map(|pair| pair.splitn(2, |byte| *byte == b'=')) {
        let decoded = Transformation::UrlDecodeUni.apply(piece).into_owned();
        found.insert(Transformation::Lowercase.apply(&decoded).into_owned());
        found.insert(decoded);
        found.insert(piece.to_vec());
    }
    found.insert(value.to_vec());
}
