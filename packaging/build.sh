#!/bin/sh
# Builds the programs that ship. The same source and the same compiler give the same bytes, whatever the folders are called
# and whoever builds, from crates.io as well as from `cargo vendor --versioned-dirs`.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The Makefile calls it, with these in the environment:
: "${CARGO:?}" "${RUSTC:?}" "${TARGET:?}" "${CARGO_TARGET_DIR:?}" "${PROGRAMS:?}" "${CARGOFLAGS?}" "${FEATURES?}"
set -eu

separator=$(printf '\037')

# Flags that follow those that are there: cargo takes them from one place only, and a path may have spaces in it.
flags=
add() {
    for flag; do
        flags=$flags${flags:+$separator}$flag
    done
}

case $CARGO_TARGET_DIR in
    /*) ;;
    *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;;
esac
export CARGO_TARGET_DIR
crates=${CARGO_HOME:-${HOME:?}/.cargo}/registry/src

# What a build needs must be there before the directories of the registry can be named below.
fetch_flags=
for flag in $CARGOFLAGS; do
    case $flag in
        --locked | --offline | --frozen | --quiet) fetch_flags="$fetch_flags $flag" ;;
    esac
done
# shellcheck disable=SC2086
"$CARGO" fetch $fetch_flags --target "$TARGET"

# Static, because an initramfs has no dynamic loader that one could count on. At a fixed address, because a static-pie binary is
# 45 KB larger and relocates itself before it starts, for an address layout that nobody attacks in the second that it runs.
# Without the table by which unwinding finds its tables, because with panic = "abort" nothing reads them.
add -Ctarget-feature=+crt-static -Crelocation-model=static -Clink-arg=-Wl,--no-eh-frame-hdr

# Messages of panics name source files. Of several prefixes that fit, rustc takes the last.
add "--remap-path-prefix=$PWD=/firstroot" "--remap-path-prefix=$PWD/vendor=/crates"
for registry in "$crates"/*/; do
    # The name of the directory depends on the registry's address.
    add "--remap-path-prefix=${registry%/}=/crates"
done
add "--remap-path-prefix=$CARGO_TARGET_DIR=/target"

# The last of two that contradict each other counts, so the packager's come last.
if [ -n "${CARGO_ENCODED_RUSTFLAGS-}" ]; then
    add "$CARGO_ENCODED_RUSTFLAGS"
else
    # shellcheck disable=SC2086
    add ${RUSTFLAGS-}
fi

if [ "${1-}" = --print-flags ]; then
    printf '%s\n' "$flags" | tr "$separator" '\n'
    exit
fi

set -- --package prepare-root --package finalize-staged --package firstroot
for program in $PROGRAMS; do
    set -- "$@" --bin "$program"
done
if [ -n "$FEATURES" ]; then
    set -- "$@" --features "$FEATURES"
fi
# --target even for this machine: without it the flags hold for procedural macros, too, which cannot be static.
# shellcheck disable=SC2086
CARGO_ENCODED_RUSTFLAGS=$flags "$CARGO" build --release $CARGOFLAGS --target "$TARGET" "$@"

# This runs here and now, whatever the programs are built for.
host=$("$RUSTC" -vV | sed -n 's/^host: //p')
for program in $PROGRAMS; do
    # shellcheck disable=SC2086
    CARGO_ENCODED_RUSTFLAGS='' RUSTFLAGS='' "$CARGO" run $CARGOFLAGS --target "$host" --package finish-program -- \
        "$CARGO_TARGET_DIR/$TARGET/release/$program" "$CARGO_TARGET_DIR/$TARGET/$program"
done
