#!/bin/sh
# Installs the files of the Makefile's list, or with --uninstall removes them. --no-programs: there are no programs among them.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The Makefile calls it, with these in the environment:
: "${INSTALL:?}" "${CARGO_TARGET_DIR:?}" "${TARGET:?}" "${CRATES:?}" "${DESTDIR?}" "${PROGRAMDIR:?}" "${BINDIR:?}" "${FILES:?}"
set -eu

built=$CARGO_TARGET_DIR/$TARGET

# Each file is written beside its place and renamed into it: DESTDIR may be the root of a system that runs.
put() {
    mode=$1 source=$2 to=$DESTDIR$3
    make_directory "${to%/*}"
    "$INSTALL" -m "$mode" "$source" "$to.new"
    mv -fT "$to.new" "$to"
}

# A file that names the programs' folders.
put_edited() {
    if [ "$PROGRAMDIR" = /usr/lib/firstroot ] && [ "$BINDIR" = /usr/bin ]; then
        put "$1" "$2" "$3"
        return
    fi
    edited=$(mktemp)
    sed "s|/usr/lib/firstroot|$PROGRAMDIR|g; s|/usr/bin/firstroot|$BINDIR/firstroot|g" "$2" > "$edited"
    put "$1" "$edited" "$3"
    rm "$edited"
}

put_link() {
    make_directory "$DESTDIR${2%/*}"
    ln -sfn "$1" "$DESTDIR$2.new"
    mv -fT "$DESTDIR$2.new" "$DESTDIR$2"
}

# install(1) would set the mode of a directory that is there.
make_directory() {
    [ -d "$1" ] || "$INSTALL" -d -m 0755 "$1"
}

# A program that is not there, or older than its source. Not "always": root, who installs, often has no cargo.
is_stale() {
    # shellcheck disable=SC2086
    [ ! -e "$1" ] || [ -n "$(find Cargo.toml Cargo.lock packaging/build.sh $CRATES -type f -newer "$1" | head -n 1)" ]
}

each_file() {
    printf '%s\n' "$FILES" | while read -r mode source to; do
        [ -z "$mode" ] || "$1" "$mode" "$source" "$to"
    done
}

install_one() {
    case $1 in
        program) put 0755 "$built/$2" "$3" ;;
        script) put_edited 0755 "$2" "$3" ;;
        unit) put_edited 0644 "$2" "$3" ;;
        link) put_link "$2" "$3" ;;
        *) put "$1" "$2" "$3" ;;
    esac
}

uninstall_one() {
    rm -f "$DESTDIR$3"
    # Folders that others have files in stay.
    case $3 in
        *.d/* | *.wants/* | */system-generators/* | "$PROGRAMDIR"/*) rmdir "$DESTDIR${3%/*}" 2> /dev/null || : ;;
    esac
}

if [ "${1-}" = --uninstall ]; then
    each_file uninstall_one
    exit
fi
if [ "${1-}" != --no-programs ] \
    && { is_stale "$built/ostree-prepare-root" || is_stale "$built/ostree-finalize-staged" || is_stale "$built/firstroot"; }; then
    packaging/build.sh
fi
each_file install_one
