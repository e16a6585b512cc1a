#!/usr/bin/env bash
# What the load generator costs beside wrk: CPU time per request (user and system) of both against the same echo origin,
# interleaved, and the ratio. A generator that costs more than what it measures measures itself.
#
#     scripts/generator-cost.sh [ROUNDS [CONNECTIONS [SECONDS]]]      5 rounds, 64 connections, 3 seconds
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-5} connections=${2:-64} seconds=${3:-3}
bench=${RINGLANE_BENCH:-target/release/ringlane-bench}
command -v wrk >/dev/null || { echo "wrk is not installed: apt-get install wrk" >&2; exit 1; }
[[ -n ${RINGLANE_BENCH:-} ]] || cargo build --release --quiet -p ringlane-bench

# The generators on the last core we may use, the origin on the first.
mapfile -t cores < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
    while IFS=- read -r from to; do seq "$from" "${to:-$from}"; done)
scratch=$(mktemp -d)
"$bench" echo --listen 127.0.0.1:0 --core "${cores[0]}" >"$scratch/echo" &
origin=$!
trap 'kill "$origin" 2>/dev/null; rm -rf "$scratch"' EXIT
until grep -q 'listening on' "$scratch/echo"; do kill -0 "$origin"; sleep 0.1; done
url="http://$(grep -oE '127\.0\.0\.1:[0-9]+' "$scratch/echo")/bytes/13"

# Runs a command and prints the CPU seconds it used.
cpu_seconds() {
    local TIMEFORMAT='%U %S'
    { time taskset -c "${cores[-1]}" "$@" >"$scratch/report" 2>/dev/null; } 2>&1 | awk '{ print $1 + $2 }'
}

for ((round = 1; round <= rounds; round++)); do
    cpu=$(cpu_seconds wrk -t1 -c"$connections" -d"${seconds}s" "$url")
    wrk=$(awk -v cpu="$cpu" '/requests in/ { printf "%.3f", cpu * 1e6 / $1 }' "$scratch/report")
    cpu=$(cpu_seconds "$bench" load --url "$url" -c "$connections" -d "${seconds}s" --warmup 0s \
        --json "$scratch/json")
    own=$(awk -v cpu="$cpu" '/"requests_all"/ { printf "%.3f", cpu * 1e6 / $2 }' "$scratch/json")
    awk -v round="$round" -v own="$own" -v wrk="$wrk" \
        'BEGIN { printf "round %d: %.2f us per request, wrk %.2f us, ratio %.2f\n", round, own, wrk, own / wrk }'
done | tee "$scratch/rounds"
awk '{ print $NF }' "$scratch/rounds" | sort -n |
    awk '{ ratio[NR] = $1 } END { printf "median ratio %.2f\n", (ratio[int((NR + 1) / 2)] + ratio[int(NR / 2) + 1]) / 2 }'
