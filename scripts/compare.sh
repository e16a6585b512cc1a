#!/bin/sh
# Ringlane beside nginx, HAProxy, the bare forwarder and no proxy at all, in every scenario of the targets.
set -eu
exec "$(dirname "$0")/loadtest.sh" --scenario all --peers nginx,haproxy --floor "$@"
