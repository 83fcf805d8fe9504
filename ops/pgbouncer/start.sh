#!/bin/sh
# Writes the only user's password where PgBouncer reads it, and starts PgBouncer.
set -eu
umask 077
printf '"roster" "%s"\n' "$POSTGRES_PASSWORD" > /tmp/users.txt
exec pgbouncer /etc/roster/pgbouncer.ini
