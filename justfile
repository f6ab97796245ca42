# Recipes for people; everything here is a plain command that can be typed too.

# Lists the recipes
default:
    @just --list

# Builds the proxy as it is shipped
build:
    cargo build --release

# Every test, the end-to-end ones included
test *FILTER:
    cargo xtask test {{FILTER}}

# What must pass before a merge
ci:
    cargo xtask ci

# Places calls through a real proxy and shows the rated records
demo:
    cargo run --release -- demo

# Runs seeds of the simulation
sim SEEDS="300":
    cargo run --release -p sim -- --seeds {{SEEDS}}

# One seed of the simulation with all that happened
sim-seed SEED:
    cargo run -p sim -- --seed {{SEED}} --trace

# A fuzz target for so many seconds; `cargo xtask fuzz` runs them all for 20 s each
fuzz TARGET SECONDS="300":
    cargo xtask fuzz {{TARGET}} {{SECONDS}}

# CPU per call of the forwarder and of Tandem with one worker, interleaved, in one run
figure *OPTIONS:
    cargo build --release -p tandem -p loadtests
    "${CARGO_TARGET_DIR:-target}/release/figure" {{OPTIONS}}

# The load generator; for example: just loadgen --target 127.0.0.1:5060 --callee 127.0.0.1:5070=answer --rate 100
loadgen *OPTIONS:
    cargo run --release -p loadtests --bin loadgen -- {{OPTIONS}}

# Calls between PJSIP, baresip, sipp and sipsak through Tandem; installs them first (Debian, PyPI). With words, only some: just interop baresip hold
interop *WORDS:
    cargo build --release -p tandem
    "$(loadtests/interop/setup.sh)" loadtests/interop/run.py "${CARGO_TARGET_DIR:-target}/release/tandem" {{WORDS}}

# The conformance ledger from the annotations in the code
ledger:
    cargo xtask ledger

# The parser beside its peers, in one run; for example: just bench --measurement-time 5
bench *OPTIONS:
    cd benches/peers && cargo bench --bench parse --bench forward -- {{OPTIONS}}

# The parser as ratios to the floor and to its fastest full peer, on a machine that others use too
ratios:
    cd benches/peers && cargo run --release --quiet --bin ratios

# Time per octet of the messages that are made to be slow to read, at four sizes
linear:
    cd benches/peers && cargo run --release --quiet --bin linear

# Where our parser, sipx-sip and rsip disagree; for example: just differential --count 1000000 --seed 2
differential *OPTIONS:
    cd benches/peers && cargo run --release --quiet --bin differential -- {{OPTIONS}}

# Instructions of the parser and of forwarding beside those kept in benches/instructions.toml; --update keeps them
instructions *OPTIONS:
    cargo xtask instructions {{OPTIONS}}

# Formats everything
fmt:
    cargo fmt --all

# Lints as CI has them
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# The container image
image TAG="tandem":
    docker build -f deploy/Containerfile -t {{TAG}} .
