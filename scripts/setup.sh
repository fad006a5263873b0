#!/bin/sh
# Sets up a Debian machine for `make build`: system packages, a Rust toolchain with the arm64 target, Docker's seccomp
# profile. Says what it does; does nothing that is done already. Needs root (or sudo) only where something is missing.
set -eu
cd "$(dirname "$0")/.."
cache=${BARTIZAN_CACHE:-$PWD/.cache}
mkdir -p "$cache"

say() { printf '  %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

updated=
apt_install() {
    if ! can_be_root; then
        echo "setup: these packages are missing and only root can install them: $*" >&2
        echo "setup: run \`apt-get install --no-install-recommends $*\` as root, then try again" >&2
        return 1
    fi
    if [ -z "$updated" ]; then
        say "refreshing the package lists"
        as_root apt-get -qq update
        updated=1
    fi
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >"$cache/apt.log" 2>&1 ||
        { tail -n 20 "$cache/apt.log" >&2; return 1; }
}

system_packages() {
    missing=$(grep -v '^#' scripts/apt-packages.txt | while read -r package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done)
    # shellcheck disable=SC2086 # one word per package
    [ -z "$missing" ] || apt_install $missing
}

rust_is_new_enough() {
    command -v cargo >/dev/null && command -v rustc >/dev/null &&
        [ "$(printf '1.95.0\n%s\n' "$(rustc --version | cut -d' ' -f2)" | sort -V | head -n 1)" = 1.95.0 ]
}

rust_toolchain() {
    rust_is_new_enough || apt_install rustc-web cargo-web rustfmt-web rust-web-clippy
    target=aarch64-unknown-linux-gnu
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] && return
    if command -v rustup >/dev/null; then
        say "adding the Rust target $target"
        rustup -q target add "$target"
    else
        as_root dpkg --add-architecture arm64
        updated=
        apt_install libstd-rust-web-dev:arm64
    fi
}

# Docker's own default profile: Debian packages it with Docker's sources. Only this one file of the package is wanted,
# not the forty packages that it depends on, so it is unpacked rather than installed.
seccomp_profile() {
    profile="$cache/seccomp.json"
    [ -s "$profile" ] && return
    say "fetching Docker's default seccomp profile"
    unpack=$(mktemp -d)
    trap 'rm -rf "$unpack"' EXIT
    (cd "$unpack" && apt-get -qq download golang-github-docker-docker-dev 2>/dev/null && dpkg -x ./*.deb .)
    cp "$unpack/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json" "$profile.new"
    mv "$profile.new" "$profile"
}

system_packages
rust_toolchain
seccomp_profile
