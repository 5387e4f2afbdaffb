#!/bin/sh
# pre-pivot hook of a dracut initramfs without systemd.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The file is sourced by dracut's init, which brings getarg, getargs and die.
# shellcheck disable=SC2154

# Without these arguments this is not an OSTree system, and it boots as without this module.
if getarg ostree= > /dev/null || getarg ostree > /dev/null || grep -qE '(^| )androidboot\.' /proc/cmdline; then
    /usr/lib/ostree/ostree-prepare-root "$NEWROOT" \
        || die "ostree-prepare-root failed: its report is above. The root filesystem is at $NEWROOT."
fi
