# Stands in for mkinitcpio: runs the build hooks that its arguments name, into /out/root. It has the functions that our hook calls,
# with the arguments and the errors of mkinitcpio's; the hook `systemd` has nothing but the function that tells that it is there.
BUILDROOT=/out/root
mkdir -p $BUILDROOT
errors=0

add_dir() {
    mkdir -p "$BUILDROOT$1"
}

add_file() {
    [ -f "$1" ] || return 1
    add_dir "$(dirname "${2:-$1}")" && cp --preserve=mode "$1" "$BUILDROOT${2:-$1}"
}

add_binary() {
    add_file "$1" "${2:-$1}"
}

add_module() {
    echo "${1%\?}" >>$BUILDROOT/modules
}

# The path of the link in the image, and what it leads to.
add_symlink() {
    add_dir "$(dirname "$1")" && ln -sfn "$2" "$BUILDROOT$1"
}

# Named by the hook that calls it.
add_runscript() {
    local name=${BASH_SOURCE[1]##*/}
    add_file "/usr/lib/initcpio/hooks/$name" "/hooks/$name"
}

# As mkinitcpio counts them.
set -o functrace
trap '(( $? )) && [[ "$FUNCNAME" == add_* ]] && (( ++errors ))' RETURN
for hook in "$@"; do
    if [ "$hook" = systemd ]; then
        add_systemd_unit() { :; }
        continue
    fi
    . "/usr/lib/initcpio/install/$hook"
    build
done
trap - RETURN
echo "$errors errors in the build"
exit $((errors != 0))
