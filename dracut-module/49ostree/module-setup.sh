#!/bin/bash
# dracut module "ostree": turns the root filesystem into the root of an OSTree deployment.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Works with dracut 059, 106 and 112. Images enable it by name (add_dracutmodules+=" ostree ").
#
# dracut sets these, and calls the functions below:
# shellcheck disable=SC2154
: "${initdir?}" "${moddir=}"

# The program in the tree, and beside it its unit. In the initramfs the program is where libostree's would be, so that both have the
# same path there.
_ostree_program=/usr/lib/firstroot/ostree-prepare-root
_ostree_unit=ostree-prepare-root.service

# The tree that the initramfs is built from: empty, or the argument of --sysroot.
_ostree_tree() {
    echo "${dracutsysrootdir-}"
}

check() {
    # Used only on request, and only if the program exists.
    [[ -x $(_ostree_tree)$_ostree_program ]] || return 1
    return 255
}

depends() {
    # With systemd a unit runs the program, without it a hook does: neither is needed for the other.
    return 0
}

installkernel() {
    # overlay: hotfixes of /usr, a transient /etc, composefs. erofs, loop: composefs.
    # The image may boot on another machine, so include them even if they are not in use here.
    hostonly='' instmods overlay erofs loop
}

install() {
    local tree place file key units
    tree=$(_ostree_tree)

    inst_binary "$_ostree_program" /usr/lib/ostree/ostree-prepare-root || _ostree_fail "cannot install ostree-prepare-root"

    # The main file of the tree is also libostree's; drop-ins and keys are only for the initramfs.
    for place in /usr/lib/ostree /etc/ostree; do
        for file in "$tree$place"/prepare-root.conf "$tree$place"/prepare-root.conf.d/*.conf; do
            [[ -e $file || -L $file ]] || continue
            _ostree_copy "${file#"$tree"}"
        done
    done
    key=$(_ostree_key_file)
    if [[ -f $tree$key ]]; then
        _ostree_copy "$key"
    fi
    _ostree_write_boot_mount
    _ostree_check_configuration

    if dracut_module_included systemd; then
        # dracut 059 does not set the directory of units if it works on another tree.
        units=${systemdsystemunitdir:-/usr/lib/systemd/system}
        mkdir -p "$initdir$units"
        # The comments are for developers, and every boot loads the image.
        sed '/^#/d' "$tree${_ostree_program%/*}/$_ostree_unit" > "$initdir$units/$_ostree_unit" \
            || _ostree_fail "cannot install $_ostree_unit"
        # Required, not wanted: if it fails, the target must not be reached, because then systemd would switch to the physical root.
        mkdir -p "$initdir$units/initrd-root-fs.target.requires"
        ln -sfn "../$_ostree_unit" "$initdir$units/initrd-root-fs.target.requires/$_ostree_unit"
    else
        # First of the hooks between the mount of the root filesystem and the switch to it: the others need the
        # deployment's files.
        inst_hook pre-pivot 00 "$moddir/ostree-prepare-root.sh"
        inst_hook pre-mount 00 "$moddir/ostree-usable-root.sh"
    fi
}

# Copies a file of the tree to the same path in the image. dracut's inst_simple looks for it outside of --sysroot (059, 106).
_ostree_copy() {
    local source target=$initdir$1 link=
    source=$(_ostree_tree)$1
    mkdir -p "${target%/*}"
    [[ -L $source ]] && link=$(readlink "$source")
    if [[ $link == /dev/null ]]; then
        # A link to /dev/null switches a file off.
        ln -sfn /dev/null "$target"
        return
    fi
    # An absolute link leads to a file of the tree.
    [[ $link == /* ]] && source=$(_ostree_tree)$link
    cp --dereference --preserve=mode "$source" "$target" || _ostree_fail "cannot install $1"
}

# dracut continues after a failed install(), and the image would not boot. Only exit ends the build.
_ostree_fail() {
    dfatal "ostree: $1"
    exit 1
}

# All values of a key in a group of a key file. A group may be repeated; the last value counts.
_ostree_values() {
    # The hold space has the line of the group.
    sed -n "/^[[:space:]]*\[/ { h; d; }
        /^[[:space:]]*$2[[:space:]]*=/ {
            x
            /^[[:space:]]*\[$1\][[:space:]]*\$/! { x; d; }
            x
            s/^[^=]*=[[:space:]]*//p
        }" "$3"
}

# [composefs] keypath of the main file, or the default.
_ostree_key_file() {
    local tree file key
    tree=$(_ostree_tree)
    file=$tree/etc/ostree/prepare-root.conf
    [[ -e $file ]] || file=$tree/usr/lib/ostree/prepare-root.conf
    [[ -f $file ]] && key=$(_ostree_values composefs keypath "$file" | tail -n 1)
    key=${key%"${key##*[![:space:]]}"}
    echo "${key:-/etc/ostree/initramfs-root-binding.key}"
}

# Writes [boot] mount for the version of libostree: up to 2025.x prepare-root mounts /boot, from 2026.1 libostree's generator
# makes a boot.mount. The library contains that name or not. Reading it works for other architectures, too. Without a library
# nothing is written, and /boot is mounted: an additional mount does no harm.
_ostree_write_boot_mount() {
    local tree library file mount
    tree=$(_ostree_tree)
    for library in "$tree"/usr/lib*/libostree-1.so.1 "$tree"/usr/lib/*/libostree-1.so.1; do
        [[ -e $library ]] || continue
        mount=yes
        grep -q 'boot\.mount' "$library" && mount=no
    done
    [[ -n ${mount-} ]] || return 0
    # Written only if no other file has this key, because a drop-in overrides the main file.
    for file in "$initdir"/{usr/lib,etc}/ostree/prepare-root.conf "$initdir"/{usr/lib,etc}/ostree/prepare-root.conf.d/*.conf; do
        [[ -f $file ]] && _ostree_values boot mount "$file" | grep -q '' && return 0
    done
    file=$initdir/usr/lib/ostree/prepare-root.conf.d/10-dracut.conf
    mkdir -p "${file%/*}"
    printf '# Written by dracut, from the version of libostree.\n[boot]\nmount=%s\n' "$mount" > "$file"
}

# An error in the configuration would stop the boot, so it stops the build.
_ostree_check_configuration() {
    local program=$initdir/usr/lib/ostree/ostree-prepare-root status=0
    "$program" --check-config "$initdir" || status=$?
    case $status in
        0) ;;
        # Not found or not executable: another architecture.
        126 | 127) dwarn "ostree: cannot run ostree-prepare-root here (other architecture?): the configuration is not checked" ;;
        *) _ostree_fail "the configuration of ostree-prepare-root is unusable, see above" ;;
    esac
}
