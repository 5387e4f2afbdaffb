#!/bin/sh
# pre-mount hook of a dracut initramfs without systemd.
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# dracut 059 unmounts a root filesystem without /proc, /sys and /dev again. A physical root has none of them; a deployment
# has, and prepare-root says more about one that has not. Later versions of dracut have no such function.

if getarg ostree= > /dev/null || getarg ostree > /dev/null || grep -qE '(^| )androidboot\.' /proc/cmdline; then
    usable_root() {
        [ -d "$1/ostree" ]
    }
fi
