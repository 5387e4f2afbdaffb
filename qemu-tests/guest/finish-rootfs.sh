#!/bin/sh
# Makes what mmdebstrap installed in $1 into a guest: quick to boot, quiet, and the same on each run.
set -eu
root=$1

# Decompressing modules is slow when every instruction is emulated.
find "$root/usr/lib/modules" -name '*.ko.xz' -print0 | xargs -0 -r -P 2 -n 100 xz --decompress
find "$root/usr/lib/modules" -name '*.ko.zst' -print0 | xargs -0 -r -P 2 -n 100 zstd --decompress --rm -q
kver=$(ls "$root/usr/lib/modules")
# Newer kernel packages have it there already, and a link in /boot.
[ -f "$root/usr/lib/modules/$kver/vmlinuz" ] || cp "$root/boot/vmlinuz-$kver" "$root/usr/lib/modules/$kver/vmlinuz"
chroot "$root" depmod "$kver"

# Work that no test looks at.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer xfs_scrub_all.timer systemd-tmpfiles-clean.timer systemd-firstboot.service systemd-hwdb-update.service \
    systemd-journal-catalog-update.service systemd-pstore.service systemd-random-seed.service ldconfig.service \
    systemd-networkd-persistent-storage.service systemd-user-sessions.service systemd-logind.service \
    getty@tty1.service console-getty.service serial-getty@ttyS0.service modprobe@drm.service systemd-binfmt.service \
    proc-sys-fs-binfmt_misc.automount dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-udev-load-credentials.service \
    systemd-update-done.service systemd-sysusers.service dracut-shutdown.service modprobe@configfs.service \
    modprobe@fuse.service
do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/system-generators"
for generator in systemd-bless-boot systemd-cryptsetup systemd-debug systemd-factory-reset systemd-getty systemd-gpt-auto \
    systemd-hibernate-resume systemd-import systemd-integritysetup systemd-rc-local systemd-run systemd-ssh \
    systemd-system-update systemd-sysv systemd-tpm2 systemd-veritysetup
do
    ln -sf /dev/null "$root/etc/systemd/system-generators/$generator-generator"
done
# Started when it is asked for.
rm -f "$root/usr/lib/systemd/system/multi-user.target.wants/dbus.service"

# Empty, not missing: a missing one means "first boot", with all that systemd does then.
: >"$root/etc/machine-id"
echo guest >"$root/etc/hostname"
: >"$root/etc/fstab"
sed -i "s/^root:[^:]*:/root::/" "$root/etc/shadow"
rm -f "$root/etc/resolv.conf" "$root"/initrd.img* "$root"/vmlinuz*
rm -rf "${root:?}"/boot/* "$root"/var/cache/apt "$root"/var/lib/apt/lists "$root"/var/log/*
