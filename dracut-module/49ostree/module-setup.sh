#!/bin/bash
# dracut module "ostree": turns the root filesystem into the root of an OSTree deployment.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Works with dracut 059, 106 and 112. Images enable it by name (add_dracutmodules+=" ostree ").
#
# dracut sets these, and calls the functions below:
# shellcheck disable=SC2154
: "${initdir?}" "${moddir=}"

# The folder in the tree that has the program and its unit. In the initramfs the program is where libostree's would be, so that
# both have the same path there.
_ostree_folder=/usr/lib/firstroot
_ostree_unit=ostree-prepare-root.service
_ostree_timeout=firstroot-trial-timeout
_ostree_emergency=firstroot-trial-emergency

# The tree that the initramfs is built from: empty, or the argument of --sysroot.
_ostree_tree() {
    echo "${dracutsysrootdir-}"
}

check() {
    # Used only on request, and only if the program exists.
    [[ -x $(_ostree_tree)$_ostree_folder/ostree-prepare-root ]] || return 1
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
    local tree folder units unit
    tree=$(_ostree_tree)
    folder=$tree$_ostree_folder

    inst_binary "$_ostree_folder/ostree-prepare-root" /usr/lib/ostree/ostree-prepare-root \
        || _ostree_fail "cannot install ostree-prepare-root"
    # Not inst_simple: it looks for a file of the tree outside of --sysroot (059, 106).
    "$folder/initramfs-configuration" "${tree:-/}" "$initdir" || _ostree_fail "cannot install the configuration, see above"

    if dracut_module_included systemd; then
        # dracut 059 does not set the directory of units if it works on another tree.
        units=$initdir${systemdsystemunitdir:-/usr/lib/systemd/system}
        # Required, not wanted: if it fails, the target must not be reached, because then systemd would switch to the physical root.
        mkdir -p "$units/initrd-root-fs.target.requires"
        ln -sfn "../$_ostree_unit" "$units/initrd-root-fs.target.requires/$_ostree_unit"
        mkdir -p "$units/initrd.target.wants"
        ln -sfn "../$_ostree_timeout.timer" "$units/initrd.target.wants/$_ostree_timeout.timer"
        # dracut has a prompt of its own beside that of systemd.
        for unit in emergency.service dracut-emergency.service; do
            mkdir -p "$units/$unit.wants"
            ln -sfn "../$_ostree_emergency.service" "$units/$unit.wants/$_ostree_emergency.service"
        done
        # The comments are for developers, and every boot loads the image.
        for unit in "$_ostree_unit" "$_ostree_timeout".{service,timer} "$_ostree_emergency".{service,timer}; do
            sed '/^#/d' "$folder/$unit" > "$units/$unit" || _ostree_fail "cannot install $unit"
        done
    else
        # First of the hooks between the mount of the root filesystem and the switch to it: the others need the
        # deployment's files.
        inst_hook pre-pivot 00 "$moddir/ostree-prepare-root.sh"
        inst_hook pre-mount 00 "$moddir/ostree-usable-root.sh"
    fi
}

# dracut continues after a failed install(), and the image would not boot. Only exit ends the build.
_ostree_fail() {
    dfatal "ostree: $1"
    exit 1
}
