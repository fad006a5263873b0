//! Takes the packed Core Rule Set in: the file `BARTIZAN_RULES`, or the one that `scripts/rules.sh` makes. Without it the Defender
//! is built with no rules, so that its tests run on a fresh checkout; `make` always makes the pack first.

use std::{env, fs, io, path::PathBuf};

const VARIABLE: &str = "BARTIZAN_RULES";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    println!("cargo:rerun-if-changed=build.rs");
    let named = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let pack = named.clone().unwrap_or_else(|| PathBuf::from("../../.cache/rules/crs4.pack"));
    println!("cargo:rerun-if-changed={}", pack.display());
    let content = match fs::read(&pack) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            println!(
                "cargo:warning=this Defender is built without firewall rules: run `sh scripts/rules.sh`, then build again"
            );
            Vec::new()
        }
        Err(error) => {
            return Err(io::Error::other(format!("{VARIABLE}: `{}` cannot be read: {error}", pack.display())));
        }
        Ok(content) => content,
    };
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("rules.pack");
    fs::write(target, content)
}
