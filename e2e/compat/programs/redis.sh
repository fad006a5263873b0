#!/bin/sh
# Redis: a server in the background, its benchmark over TCP and its local socket, snapshots made by forks, a clean stop.
set -eu
redis-server --port 7777 --bind 127.0.0.1 --unixsocket "$PWD/redis.sock" --daemonize yes --logfile "$PWD/redis.log" --dir "$PWD" \
    --pidfile "$PWD/redis.pid" --save "" --appendonly yes >/dev/null
ask() { redis-cli -s "$PWD/redis.sock" "$@"; }
until [ "$(ask ping 2>/dev/null)" = PONG ]; do :; done
redis-benchmark -s "$PWD/redis.sock" -n 2000 -c 20 -t set,get -q >/dev/null
redis-benchmark -p 7777 -n 2000 -c 20 -t incr,lpush,lrange_100 -q >/dev/null
redis-cli -h good.test -p 7777 set answer 42
ask dbsize
ask debug sleep 0
saved() { ask info persistence | tr -d '\r' | grep -E "$1"; }
ask bgsave
until saved 'rdb_bgsave_in_progress:0' >/dev/null; do :; done
saved 'rdb_last_bgsave_status|rdb_saves'
ask bgrewriteaof
until saved 'aof_rewrite_in_progress:0' >/dev/null && saved 'aof_rewrite_scheduled:0' >/dev/null; do :; done
saved 'aof_last_bgrewrite_status'
ask --eval /dev/stdin <<'LUA'
return redis.call("get", "answer")
LUA
ask shutdown nosave || true
while kill -0 "$(cat redis.pid 2>/dev/null)" 2>/dev/null; do :; done
redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
exit 9
