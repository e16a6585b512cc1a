#!/bin/sh
# Builds release and runs the load test: origin, proxy, load, report. Options: scripts/loadtest.sh --help
set -eu
cd "$(dirname "$0")/.."
cargo build --release -p ringlane -p ringlane-bench
exec "${CARGO_TARGET_DIR:-target}/release/ringlane-bench" loadtest "$@"
