#!/bin/sh
# Puts the OWASP Core Rule Set and its tests into .cache/crs: `rules/` (*.conf, *.data), `setup.conf`, `tests/`. They come
# as the Go module that defender/waf/rules/go.mod pins; Go refuses them when go.sum has another sum.
set -eu
cd "$(dirname "$0")/.."
module=github.com/corazawaf/coraza-coreruleset/v4
target=${BARTIZAN_CACHE:-$PWD/.cache}/crs
version=$(awk -v module="$module" '$2 == module { print $3 }' defender/waf/rules/go.mod)
[ "$(cat "$target/version" 2>/dev/null)" != "$version" ] || exit 0
go=$(command -v go || echo /usr/lib/go-1.19/bin/go)
folder=$(cd defender/waf/rules && unset GOTOOLCHAIN && GOFLAGS=-mod=mod "$go" mod download -json "$module" |
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p')
[ -n "$folder" ] || { echo "rules: Go could not download $module $version" >&2; exit 1; }
mkdir -p "$(dirname "$target")"
fresh=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/rules"
cp "$folder"/rules/@owasp_crs/* "$fresh/rules/"
cp "$folder/rules/@crs-setup.conf.example" "$fresh/setup.conf"
cp -R "$folder/tests" "$fresh/tests"
chmod -R u+w "$fresh"
chmod 755 "$fresh"
echo "$version" >"$fresh/version"
rm -rf "$target"
mv "$fresh" "$target"
