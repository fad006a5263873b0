#!/bin/sh
# s6 as a supervisor of its own services: starts one, sees it restarted after its death, takes it down, ends.
set -eu
mkdir -p scan/one
printf '#!/bin/sh\necho started\nexec sleep 1000\n' >scan/one/run
chmod 755 scan/one/run
s6-svscan scan >said &
scanner=$!
until s6-svok scan/one 2>/dev/null; do :; done
s6-svwait -u -t 10000 scan/one
first=$(s6-svstat -o pid scan/one)
s6-svc -k scan/one
until second=$(s6-svstat -o pid scan/one) && [ "$second" != "$first" ] && [ "$second" != -1 ]; do :; done
s6-svc -wD -d scan/one
echo "down $(s6-svstat -o up scan/one)"
s6-svscanctl -t scan
wait "$scanner" || echo "status $?"
sort -u said
