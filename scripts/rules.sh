#!/bin/sh
# Puts the OWASP Core Rule Set and its tests into .cache/rules/crs4 (`rules/` with *.conf and *.data, `setup.conf`, `tests/`,
# `LICENSE`, `version`), and what a Defender needs of it into .cache/rules/crs4.pack. It comes as the Go module that
# defender/waf/rules/go.mod pins and is refused when its sum is not that of go.sum. Go's own folders are not touched: HOME may
# be missing or not writable.
set -eu
cd "$(dirname "$0")/.."
module=github.com/corazawaf/coraza-coreruleset/v4
cache=${BARTIZAN_CACHE:-$PWD/.cache}/rules
target=$cache/crs4
pins=$PWD/defender/waf/rules
version=$(awk -v module="$module" '$2 == module { print $3 }' "$pins/go.mod")
sum=$(awk -v module="$module" -v version="$version" '$1 == module && $2 == version { print $3 }' "$pins/go.sum")
[ -n "$version" ] && [ -n "$sum" ] || { echo "rules: \`$pins\` does not pin $module with its sum" >&2; exit 1; }

fresh=
work=
# A module's files are read-only, and so are their folders.
sweep() {
    for folder in "$fresh" "$work"; do
        [ -z "$folder" ] || { chmod -R u+w "$folder" && rm -rf "$folder"; }
    done
}

# Prints Go's JSON about the downloaded module. The pins are copied, since Go may write to the folder that it works in.
download() {
    go=$(command -v go || echo /usr/lib/go-1.19/bin/go)
    mkdir "$work/module"
    cp "$pins/go.mod" "$pins/go.sum" "$work/module/"
    cd "$work/module"
    GOMODCACHE="$work/modules" GOCACHE="$work/build" GOPATH="$work/path" GOFLAGS='-mod=mod -modcacherw' \
        GOTOOLCHAIN=local GO111MODULE=on GOWORK=off "$go" mod download -json "$module@$version"
}

fetch() {
    mkdir -p "$cache"
    trap sweep EXIT
    trap 'exit 1' HUP INT TERM
    work=$(mktemp -d "$cache/go.XXXXXX")
    answer=$(download) || { printf '%s\n' "rules: Go could not download $module $version:" "$answer" >&2; exit 1; }
    field() { printf '%s\n' "$answer" | sed -n "s/^[[:space:]]*\"$1\": \"\(.*\)\",*\$/\1/p"; }
    folder=$(field Dir)
    [ "$(field Sum)" = "$sum" ] || { echo "rules: $module $version has the sum \`$(field Sum)\`, not $sum" >&2; exit 1; }
    fresh=$(mktemp -d "$cache/crs4.XXXXXX")
    mkdir "$fresh/rules"
    cp "$folder"/rules/@owasp_crs/* "$fresh/rules/"
    cp "$folder/rules/@crs-setup.conf.example" "$fresh/setup.conf"
    cp "$folder/rules/LICENSE" "$fresh/LICENSE"
    cp -R "$folder/tests" "$fresh/tests"
    chmod -R u+w "$fresh"
    chmod 755 "$fresh"
    echo "$version $sum" >"$fresh/version"
    rm -rf "$target"
    mv "$fresh" "$target"
    fresh=
}

[ "$(cat "$target/version" 2>/dev/null)" = "$version $sum" ] || fetch
python3 scripts/pack_rules.py "$target" "$cache/crs4.pack"
