#!/bin/sh
# Ringlane on io_uring and on epoll beside nginx, HAProxy, Envoy and Caddy (those that are installed), the bare forwarder
# and no proxy at all, in every scenario: some forty minutes. Options are loadtest's, and --record NAME, which keeps the
# report and its figures in bench-harness/reports, with the notes on missed targets in NAME.notes.md there.
set -eu

asked='' name=''
for argument; do
    shift
    case $asked:$argument in
    next:*) asked=yes name=$argument ;;
    *:--record) asked=next ;;
    *:--record=*) asked=yes name=${argument#--record=} ;;
    *) set -- "$@" "$argument" ;;
    esac
done
case $asked:$name in
: | yes:[A-Za-z0-9]*) ;;
*) asked=wrong ;;
esac
case $asked:$name in
wrong:* | *[!A-Za-z0-9._:-]*)
    echo "compare.sh: --record needs a name of letters, digits, dots and dashes" >&2
    exit 2
    ;;
esac

# Said twice, --out is refused: a record of another place would be another run's.
root=$(cd "$(dirname "$0")/.." && pwd)
if [ "$asked" = yes ]; then set -- --out target/loadtest --notes "bench-harness/reports/$name.notes.md" "$@"; fi
"$root/scripts/loadtest.sh" --scenario all --peers nginx,haproxy,envoy,caddy --floor --epoll "$@"

if [ "$asked" = yes ]; then
    for file in report.md:md results.json:json; do
        cp "$root/target/loadtest/latest/${file%:*}" "$root/bench-harness/reports/$name.${file#*:}"
    done
    echo "recorded as bench-harness/reports/$name.md and $name.json; notes that come later are put into it by"
    echo "ringlane-bench annotate --notes bench-harness/reports/$name.notes.md bench-harness/reports/$name.md"
fi
