# The same verbs for people and for CI.
CARGO ?= cargo
FUZZ_SECONDS ?= 10
SEED ?= 1
MICRO = $(CARGO) bench -p ringlane-bench --bench micro --
FUZZ_TARGETS = $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))

.PHONY: all check test lint doc pgo fuzz bench guard baseline loadtest compare memory storm faults chaos smoke clean

all: check

# Compiles everything, runs nothing.
check:
	$(CARGO) check --workspace --all-targets

# Unit, integration, tidy and documentation tests.
test:
	$(CARGO) test --workspace

# Format, clippy and rustdoc, warnings denied.
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	CUSTOM_LIBFUZZER_PATH=not/linked $(CARGO) clippy --manifest-path fuzz/Cargo.toml --target-dir target -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

doc:
	$(CARGO) doc --workspace --no-deps --open

# The fastest Ringlane, by counts of what runs under load: target/pgo/ringlane, after some twenty minutes.
pgo:
	scripts/pgo.sh

# Every fuzz target for FUZZ_SECONDS, on the stable toolchain. Needs g++ and `cargo install cargo-fuzz --locked`.
fuzz:
	for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target fuzz/seeds/$$target; \
		$(CARGO) fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -dict=fuzz/http.dict || exit 1; \
	done

# Where the time goes: each part beside the design that it replaces, in target/bench/report.md. QUICK=1: rough, sooner.
bench:
	$(MICRO)

# Instructions and allocations of each part against bench-harness/baselines. Time has no say in it.
guard:
	$(MICRO) guard

# Writes the baselines anew: after a change that is meant to cost more, or with another compiler or C library.
baseline:
	$(MICRO) baseline

# The main job end to end: see scripts/loadtest.sh --help.
loadtest:
	scripts/loadtest.sh

# Beside nginx, HAProxy, Envoy, Caddy and the floor, in every scenario.
compare:
	scripts/compare.sh

# Whether memory stays within a bound, and stops growing, under all that clients do.
memory:
	$(CARGO) build --release
	target/release/ringlane-bench memory --max 100MB --duration 300s

# What changes of routes cost under load, how soon they are in effect, and whether anything is lost.
storm:
	$(CARGO) build --release
	target/release/ringlane-bench storm
	target/release/ringlane-bench storm --sources
	target/release/ringlane-bench storm --effect

# Faults one by one: what clients saw, detection, recovery, beside HAProxy; the tables of docs/faults.md are written anew.
faults:
	$(CARGO) build --release
	target/release/ringlane-bench faults --page docs/faults.md
	target/release/ringlane-bench faults --cost

# Faults at random for half an hour. SEED=2: another schedule.
chaos:
	$(CARGO) build --release
	target/release/ringlane-bench chaos --duration 30m --seed $(SEED)

# A short load test: that it works, not how fast it is.
smoke:
	scripts/loadtest.sh --duration 1s --warmup 200ms --rounds 1 --connections 1,64

clean:
	$(CARGO) clean
