#!/bin/sh
# Builds Ringlane with profile-guided optimisation: once counting what runs while the load test drives it, and once more laid
# out by these counts. What comes is target/pgo/ringlane; it takes some twenty minutes on two cores.
set -eu

if [ "$#" -gt 0 ]; then
    sed -n '2,3s/^# //p' "$0"
    echo "No options. It needs the compiler's own llvm-profdata: rustup component add llvm-tools"
    [ "$1" = --help ] && exit 0 || exit 2
fi

cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
if [ ! -x "$profdata" ]; then
    # Another LLVM's would not read what this compiler's programs write.
    echo "pgo.sh: the compiler's own llvm-profdata is missing: rustup component add llvm-tools" >&2
    exit 1
fi
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/pgo"
target=$(cd "$target" && pwd)
pgo=$target/pgo

step() { printf '\n== %s\n' "$*"; }

# With --target, flags are for Ringlane alone, not for what runs while it is built.
build() {
    RUSTFLAGS="${RUSTFLAGS-} $1" cargo build --release -p ringlane --target "$host" --target-dir "$2"
}

step "load generator"
cargo build --release -p ringlane-bench
bench=$target/release/ringlane-bench

step "a Ringlane that counts"
rm -rf "$pgo/counts"
build "-Cprofile-generate=$pgo/counts" "$pgo/counting"
counting=$pgo/counting/$host/release/ringlane

step "load on it, for a minute and a half; what it says is in $pgo/load.log"
scenarios=13b-1,13b-64,13b-256,16k-32,1m-32,upload-1m-32,new-32,mixed-64,routes-100x10
# Targets are missed while it counts: that ends neither of them well, and means nothing.
{
    "$bench" loadtest --proxy "$counting" --scenario "$scenarios" --rounds 1 --duration 2s --profile none \
        --out "$pgo/load" || true
    "$bench" faults --proxy "$counting" --cost --rounds 1 --out "$pgo/load" || true
} >"$pgo/load.log" 2>&1
if ! ls "$pgo"/counts/*.profraw >/dev/null 2>&1; then
    echo "pgo.sh: nothing was counted; $pgo/load.log says why" >&2
    exit 1
fi

step "Ringlane"
"$profdata" merge -o "$pgo/ringlane.profdata" "$pgo"/counts/*.profraw
# A build by older counts has the same flags, and would pass for this one.
rm -rf "$pgo/built"
RINGLANE_PROFILE_GUIDED=1 build "-Cprofile-use=$pgo/ringlane.profdata" "$pgo/built"
cp "$pgo/built/$host/release/ringlane" "$pgo/ringlane"
step "built: $pgo/ringlane"
