//! Fuzz targets: `FUZZ_TARGET=name defender-fuzz [libFuzzer's options] CORPUS…`, which `scripts/fuzz.sh` builds and runs.
//!
//! Each target takes any bytes and holds one invariant, which its function says; what breaks it is a panic.
#![no_main]

mod rules;
mod targets;

use std::{env, sync::OnceLock};

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let name = env::var("FUZZ_TARGET").unwrap_or_default();
        let found = targets::ALL.iter().find(|(known, _)| *known == name);
        let Some((_, target)) = found else {
            let known: Vec<_> = targets::ALL.iter().map(|(known, _)| *known).collect();
            panic!("`FUZZ_TARGET` is `{name}`, which is none of {}", known.join(", "));
        };
        TARGET.get_or_init(|| *target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);
