#!/bin/sh
# Installs what is missing of the Debian packages in a list: `packages.sh LIST`. A package counts as there when it is
# installed, or when the program named after it on its line (`package program`) is found along PATH. No service is
# started: invoke-rc.d(8) asks policy-rc.d first.
set -eu
missing=$(grep -v '^#' "$1" | while read -r package program; do
    [ -z "$program" ] || ! command -v "$program" >/dev/null || continue
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
done)
[ -n "$missing" ] || exit 0
echo "packages: installing" $missing
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    trap 'as_root rm -f "$policy"' EXIT
fi
as_root apt-get -qq update
# shellcheck disable=SC2086 # one word per package
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
