//! Lists of programs: by name, by path, or by content.
use std::collections::HashMap;

use super::{PolicyError, globs::GlobSet};
use crate::{ProcessEvent, is_hex};

const DIGEST: &str = "sha256:";

/// Entries that start with `sha256:` name a content, others with `/` are globs on absolute paths, the rest globs on names.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgramList {
    names: GlobSet,
    paths: GlobSet,
    /// Lower-case hexadecimal digests, with the entries that they come from.
    digests: HashMap<Box<str>, Box<str>>,
}

/// How surely an allow list means a program, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// A glob holds it among others.
    Glob,
    /// Its name is written out.
    Name,
    /// Its path is written out.
    Path,
    /// Its content is.
    Digest,
}

impl ProgramList {
    /// # Errors
    /// [`PolicyError::Digest`] for an entry `sha256:` without 64 hexadecimal digits.
    pub(crate) fn new(entries: &[String]) -> Result<Self, PolicyError> {
        let (mut names, mut paths, mut digests) = (Vec::new(), Vec::new(), HashMap::new());
        for entry in entries {
            if let Some(digest) = entry.strip_prefix(DIGEST) {
                let digest = digest.to_ascii_lowercase();
                if !is_hex(&digest, 64) {
                    return Err(PolicyError::Digest(entry.clone()));
                }
                digests.entry(digest.into_boxed_str()).or_insert_with(|| entry.as_str().into());
            } else if entry.contains('/') {
                paths.push(entry.as_str());
            } else {
                names.push(entry.as_str());
            }
        }
        Ok(Self { names: GlobSet::new(names), paths: GlobSet::new(paths), digests })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty() && self.digests.is_empty()
    }

    /// True when contents must be known to judge by this list.
    pub(crate) fn has_digests(&self) -> bool {
        !self.digests.is_empty()
    }

    /// The first entry that denies a program. Any of its names may give it away: the file that runs, the way it was
    /// called, and what it is told it is; so may what a loader was told to run.
    pub(crate) fn denies(&self, process: &ProcessEvent) -> Option<&str> {
        let (exe, loaded) = (process.program(), process.facts.loaded.as_deref().unwrap_or_default());
        let by_name = || self.names.first_of(&process.names()).map(|place| self.names.text(place));
        let by_path = || {
            let marked = if exe == process.path { "" } else { &process.path };
            let place = self.paths.first_of(&[exe, marked, &process.invoked, loaded])?;
            Some(self.paths.text(place))
        };
        by_name().or_else(by_path).or_else(|| self.digest(process.digests()))
    }

    /// How the list allows a program, if it does; what a loader was told to run must be allowed too. A name that the
    /// caller chose freely must not allow anything, so `invoked` counts only where it says what really runs.
    pub(crate) fn allows(&self, process: &ProcessEvent) -> Option<Grant> {
        let facts = &process.facts;
        let by_exe = self.grant(&process.path, process.sha256.as_deref());
        let by_link = process.invoked_is_exe.then(|| self.grant(&process.invoked, None)).flatten();
        let by_script = process.interpreted.then(|| self.script(process)).flatten();
        let grant = by_exe.max(by_link).max(by_script)?;
        match &facts.loaded {
            None => Some(grant),
            Some(loaded) => Some(grant.min(self.grant(loaded, facts.loaded_sha256.as_deref())?)),
        }
    }

    /// A script is allowed by its path or its content, never by its name.
    fn script(&self, process: &ProcessEvent) -> Option<Grant> {
        let digest = process.facts.script_sha256.as_deref().and_then(|digest| self.digest([digest]));
        digest.map(|_| Grant::Digest).or_else(|| grant(&self.paths, &process.invoked, Grant::Path))
    }

    fn grant(&self, path: &str, sha256: Option<&str>) -> Option<Grant> {
        let digest = sha256.and_then(|digest| self.digest([digest])).map(|_| Grant::Digest);
        digest.or_else(|| grant(&self.paths, path, Grant::Path)).max(grant(&self.names, base_name(path), Grant::Name))
    }

    fn digest<'a>(&self, digests: impl IntoIterator<Item = &'a str>) -> Option<&str> {
        if self.digests.is_empty() {
            return None;
        }
        digests.into_iter().find_map(|digest| self.digests.get(digest)).map(AsRef::as_ref)
    }
}

fn grant(list: &GlobSet, text: &str, exact: Grant) -> Option<Grant> {
    if list.names(text) { Some(exact) } else { list.first_of(&[text]).map(|_| Grant::Glob) }
}

/// What comes behind the last `/`.
pub(crate) fn base_name(path: &str) -> &str {
    // By bytes, which is quicker; the byte of `/` is part of no other character.
    path.bytes().rposition(|byte| byte == b'/').map_or(path, |slash| &path[slash + 1..])
}
