#!/bin/busybox sh
# The initramfs of a system without systemd in it: a script that mounts the root, calls prepare-root and switches.
/bin/busybox --install -s /bin
export PATH=/bin

fail() {
    echo "script initramfs: $*"
    poweroff -f
}

mkdir -p /proc /sys /dev /run /sysroot
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=0755,nosuid,nodev run /run
for module in /modules/*; do
    insmod "$module" || fail "cannot load $module"
done

mode=ro
flags=
ram=no
for argument in $(cat /proc/cmdline); do
    case $argument in
        root=*) root=${argument#root=} ;;
        rootflags=*) flags=,${argument#rootflags=} ;;
        rw) mode=rw ;;
        toram) ram=yes ;;
    esac
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    device=$(findfs "$root") && break
    sleep 1
done
mount -o "$mode$flags" "$device" /sysroot || fail "cannot mount $root"
if [ $ram = yes ]; then
    # A live system, whose medium can be taken out.
    mkdir /ram
    mount -t tmpfs -o mode=0755 ram /ram
    cp -a /sysroot/. /ram || fail "cannot copy $root"
    umount /sysroot
    mount --move /ram /sysroot
fi

/usr/lib/ostree/ostree-prepare-root /sysroot || fail "prepare-root has failed"

for directory in /proc /sys /dev /run; do
    mount --move "$directory" "/sysroot$directory"
done
exec switch_root /sysroot /sbin/init "$@"
