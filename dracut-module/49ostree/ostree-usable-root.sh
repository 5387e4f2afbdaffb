#!/bin/sh
# pre-mount hook of a dracut initramfs without systemd.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# dracut 059 unmounts a root filesystem without /proc, /sys and /dev. A physical root has none of them. A deployment has them, and
# prepare-root has a better error if one is missing. Later versions of dracut have no such function.

if getarg ostree= > /dev/null || getarg ostree > /dev/null || grep -qE '(^| )androidboot\.' /proc/cmdline; then
    usable_root() {
        [ -d "$1/ostree" ]
    }
fi
