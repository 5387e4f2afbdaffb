#!/bin/bash
# dracut module "ostree": turns the root filesystem into the root of an OSTree deployment.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Works with dracut 059, 106 and 112. Images enable it by name (add_dracutmodules+=" ostree ").
#
# dracut sets these, and calls the functions below:
# shellcheck disable=SC2154
: "${initdir?}" "${moddir=}"

# Where the tree has the program. In the initramfs it is in /usr/lib/ostree, whatever this says.
_ostree_program=/usr/lib/ostree/ostree-prepare-root

# Where the tree is that the initramfs is built from: empty, or the argument of --sysroot.
_ostree_tree() {
    echo "${dracutsysrootdir-}"
}

check() {
    # Needed only where somebody asks for it, and of no use without the program.
    [[ -x $(_ostree_tree)$_ostree_program ]] || return 1
    return 255
}

depends() {
    # With systemd a unit runs the program, without it a hook does: neither is needed for the other.
    return 0
}

installkernel() {
    # overlay: hotfixes of /usr, a transient /etc, composefs. erofs, loop: composefs.
    # Wanted whatever machine the image is built on, so not only those that are in use here.
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
    _ostree_say_who_mounts_boot
    _ostree_check_configuration

    if dracut_module_included systemd; then
        # dracut 059 knows no directory of units when it works on another tree.
        units=${systemdsystemunitdir:-/usr/lib/systemd/system}
        _ostree_copy "$units/ostree-prepare-root.service"
        # Reasons are for whoever changes the unit; every boot loads the image.
        sed -i '/^#/d' "$initdir$units/ostree-prepare-root.service"
        # Required, not wanted: where it fails the target must not be reached, or the switch to the physical root follows.
        mkdir -p "$initdir$units/initrd-root-fs.target.requires"
        ln -sfn ../ostree-prepare-root.service \
            "$initdir$units/initrd-root-fs.target.requires/ostree-prepare-root.service"
    else
        # First of the hooks between the mount of the root filesystem and the switch to it: the others want the
        # deployment's files.
        inst_hook pre-pivot 00 "$moddir/ostree-prepare-root.sh"
        inst_hook pre-mount 00 "$moddir/ostree-usable-root.sh"
    fi
}

# A file of the tree, to the same path of the image. dracut's own inst_simple looks for it outside of --sysroot (059, 106).
_ostree_copy() {
    local source target=$initdir$1 link=
    source=$(_ostree_tree)$1
    mkdir -p "${target%/*}"
    [[ -L $source ]] && link=$(readlink "$source")
    if [[ $link == /dev/null ]]; then
        # A file that is switched off.
        ln -sfn /dev/null "$target"
        return
    fi
    # An absolute link leads to a place of the tree.
    [[ $link == /* ]] && source=$(_ostree_tree)$link
    cp --dereference --preserve=mode "$source" "$target" || _ostree_fail "cannot install $1"
}

# dracut goes on after an install() that failed, and the image would not boot: only leaving ends the build.
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

# [composefs] keypath of the file that counts, or the default.
_ostree_key_file() {
    local tree file key
    tree=$(_ostree_tree)
    file=$tree/etc/ostree/prepare-root.conf
    [[ -e $file ]] || file=$tree/usr/lib/ostree/prepare-root.conf
    [[ -f $file ]] && key=$(_ostree_values composefs keypath "$file" | tail -n 1)
    key=${key%"${key##*[![:space:]]}"}
    echo "${key:-/etc/ostree/initramfs-root-binding.key}"
}

# libostree up to 2025.x leaves /boot to prepare-root; from 2026.1 its generator makes a boot.mount. The library has that
# name in it or not, which can be seen without running a program that may be of another architecture. Where it cannot be
# seen nothing is written, and /boot is mounted: one mount too many does no harm.
_ostree_say_who_mounts_boot() {
    local tree library file mount
    tree=$(_ostree_tree)
    for library in "$tree"/usr/lib*/libostree-1.so.1 "$tree"/usr/lib/*/libostree-1.so.1; do
        [[ -e $library ]] || continue
        mount=yes
        grep -q 'boot\.mount' "$library" && mount=no
    done
    [[ -n ${mount-} ]] || return 0
    # It speaks where nobody else does: a drop-in counts more than the main file.
    for file in "$initdir"/{usr/lib,etc}/ostree/prepare-root.conf "$initdir"/{usr/lib,etc}/ostree/prepare-root.conf.d/*.conf; do
        [[ -f $file ]] && _ostree_values boot mount "$file" | grep -q '' && return 0
    done
    file=$initdir/usr/lib/ostree/prepare-root.conf.d/10-dracut.conf
    mkdir -p "${file%/*}"
    printf '# Written by dracut, from the version of libostree.\n[boot]\nmount=%s\n' "$mount" > "$file"
}

# What would stop the boot stops the build.
_ostree_check_configuration() {
    local program=$initdir/usr/lib/ostree/ostree-prepare-root status=0
    "$program" --check-config "$initdir" || status=$?
    case $status in
        0) ;;
        # Not found or not executable: of another architecture.
        126 | 127) dwarn "ostree: ostree-prepare-root does not run here, so its configuration is not checked" ;;
        *) _ostree_fail "the configuration of ostree-prepare-root is unusable, see above" ;;
    esac
}
