#!/bin/sh
# What the application of the built images is: it tells who, where and with what it runs, then does as PROBE says.
# Programs are named by their paths: busybox's own applets would run inside the shell, without a new program.
echo "probe runs as $(/bin/id -u):$(/bin/id -g) in $PWD with $# arguments"
for argument in "$@"; do
  echo "probe got <$argument>"
done
/bin/env | /bin/sort | while read -r line; do
  case "$line" in
    HOSTNAME=* | SHLVL=* | _=* | PWD=* | OLDPWD=*) ;;
    *) echo "probe has $line" ;;
  esac
done
case "$PROBE" in
  attack)
    # busybox writes its own complaints in pieces, between which other lines come.
    /bin/nc -w 1 127.0.0.1 9 < /dev/null 2> /dev/null
    /bin/hostid 2> /dev/null && echo "probe ran the program" || echo "probe could not run the program: $?"
    ;;
  search)
    # All that could hold the install bundle: every process, and the Defender's own folder.
    /bin/grep -l INSTALL_BUNDLE /proc/[0-9]*/environ
    /bin/grep -lr eyJ /bartizan
    echo "probe searched as $(/bin/id -u)"
    ;;
  wait)
    trap 'echo "probe caught the signal"; exit 7' "${PROBE_SIGNAL:-TERM}"
    echo "probe waits"
    while :; do /bin/sleep 0.1; done
    ;;
esac
exit 3
