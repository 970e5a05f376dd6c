# Shared by the scripts of this folder: where things are built, and how. Sourced, never run.

# Outside the clone, so that RocksDB is compiled once per machine and not once per clone.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/palombe-target}"

# mail-parser 1.0 declares Rust 1.98 but builds and passes its own tests on 1.95 and later:
# the declaration is overlooked while the toolchain is older than that.
cargo_flags=(--release --locked)
rust_minor="$(rustc --version 2>/dev/null | sed -nE 's/^rustc 1\.([0-9]+).*/\1/p')"
if [ -n "$rust_minor" ] && [ "$rust_minor" -lt 98 ]; then cargo_flags+=(--ignore-rust-version); fi

# build_binaries CRATE… builds the binaries of these packages into $CARGO_TARGET_DIR/release.
build_binaries() {
  local packages=() crate
  for crate in "$@"; do packages+=(-p "$crate"); done
  cargo build "${cargo_flags[@]}" --bins "${packages[@]}"
}
