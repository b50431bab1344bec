#!/bin/sh
# Compares docs/backend-api.yaml with the running sandbox provider by schemathesis.
# Usage: tests/api/run.sh TAPCORE_BINARY [schemathesis options]; `st` with `cryptography` beside it must be on the PATH.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tapcore=$1
shift
data=$(mktemp -d)
"$tapcore" sandbox --data "$data/sandbox" > "$data/events" 2> "$data/log" &
sandbox=$!
trap 'kill "$sandbox" 2>/dev/null; wait "$sandbox" 2>/dev/null; rm -rf "$data"' EXIT INT TERM

field() { sed -n '/"event":"ready"/{s/.*"'"$1"'":"\([^"]*\)".*/\1/p;q;}' "$data/events"; }
tries=0
while [ -z "$(field provider)" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$sandbox" 2>/dev/null; then
        echo "The sandbox did not come up:" >&2
        cat "$data/log" >&2
        exit 1
    fi
    sleep 0.1
done
TAPCORE_PROVIDER=$(field provider)
TAPCORE_CA=$(field ca)
TAPCORE_EVENTS=$data/events
SCHEMATHESIS_HOOKS=signing_hook
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export TAPCORE_PROVIDER TAPCORE_CA TAPCORE_EVENTS SCHEMATHESIS_HOOKS PYTHONPATH

cd "$data"
# Left out: positive_data_acceptance, because a generator cannot make proofs and sealed boxes that hold.
st run "$here/../../docs/backend-api.yaml" --url "$TAPCORE_PROVIDER" --tls-verify "$TAPCORE_CA" \
    --checks all --exclude-checks positive_data_acceptance --generation-with-security-parameters false "$@"
