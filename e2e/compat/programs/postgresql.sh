#!/bin/sh
# PostgreSQL as its own user: a new cluster, a server on a local socket and on TCP, pgbench on both, a child of the server, a clean stop.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
PATH=$bin:$PATH
export PGDATA="$PWD/data" PGHOST="$PWD" PGDATABASE=postgres
initdb --no-sync --auth trust >initdb.log
{ echo "unix_socket_directories = '$PWD'"; echo "listen_addresses = '127.0.0.1'"; echo "fsync = off"; } >>data/postgresql.conf
pg_ctl --silent --wait --log server.log start
pgbench --quiet --initialize --scale 1 2>/dev/null >/dev/null
for host in "$PWD" 127.0.0.1; do
    pgbench --no-vacuum --client 4 --jobs 2 --transactions 50 --host "$host" 2>/dev/null | grep -E 'processed|failed'
    pgbench --no-vacuum --connect --client 2 --transactions 20 --select-only --host "$host" 2>/dev/null | grep processed
done
psql --quiet --tuples-only --no-align <<'SQL'
SELECT count(*) FROM pgbench_accounts;
SELECT sum(n) FROM (SELECT generate_series(1, 1000) AS n) numbers;
COPY (SELECT 'through a child') TO PROGRAM 'cat > told';
SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM pgbench_accounts a JOIN pgbench_branches b USING (bid);
VACUUM ANALYZE pgbench_accounts;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend';
SQL
cat told 2>/dev/null || cat data/told
pg_ctl --silent --wait --mode fast stop
pg_ctl status >/dev/null || echo "stopped $?"
exit 8
