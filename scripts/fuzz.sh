#!/bin/sh
# Fuzzes the firewall: `scripts/fuzz.sh SECONDS [TARGET…]`, SECONDS for each target (all of them without names). What breaks a
# target is left in .cache/fuzz/TARGET/ beside what covers it, and the script ends with 1. LLVM's coverage counters are asked of
# the stable compiler, as cargo-fuzz does of the nightly one.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?usage: fuzz.sh SECONDS [TARGET…]}
shift
export BARTIZAN_RULES="$PWD/.cache/rules/crs4.pack"
work=$PWD/.cache/fuzz
target=${CARGO_TARGET_DIR:-$PWD/defender/target}/fuzz
llvm() { for word; do printf -- '-Cllvm-args=-sanitizer-coverage-%s ' "$word"; done; }
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module $(llvm level=4 inline-8bit-counters pc-table trace-compares)" \
    cargo build --quiet --release --locked --manifest-path defender/fuzz/Cargo.toml --target-dir "$target" \
    --target "$(rustc -vV | sed -n 's/^host: //p')"
program=$(find "$target" -path '*/release/defender-fuzz' -type f)
[ $# -gt 0 ] || set -- $(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' defender/fuzz/src/targets.rs)
failed=
for name; do
    mkdir -p "$work/$name"
    python3 scripts/fuzz_seeds.py "$name" "$work/$name"
    printf '%s: ' "$name"
    if FUZZ_TARGET=$name "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$work/$name/broken-" "$work/$name" >"$work/$name.log" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: *\(.*\)/\1 inputs/p' "$work/$name.log"
    else
        failed=1
        echo "broken"
        sed -n '/panicked/,/stack backtrace/p; /Test unit/p' "$work/$name.log" | cut -c1-2000
    fi
done
[ -z "$failed" ]
