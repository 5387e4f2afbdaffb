#!/bin/busybox sh
# Stands in for a kernel that mounts its root by itself: Debian's has virtio_blk as a module. What it leaves is what such a
# kernel leaves: the root, a devtmpfs if the root has a /dev, nothing else.
/bin/busybox mkdir /proc /dev /root
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do
    /bin/busybox insmod "$module"
done
/bin/busybox mount -t proc proc /proc
mode=ro
flags=
for argument in $(/bin/busybox cat /proc/cmdline); do
    case $argument in
        init=*) init=${argument#init=} ;;
        rootflags=*) flags=,${argument#rootflags=} ;;
        rootfstype=*) type=${argument#rootfstype=} ;;
        rw) mode=rw ;;
    esac
done
/bin/busybox umount /proc
/bin/busybox mount -t "$type" -o "$mode$flags" /dev/vda /root || /bin/busybox poweroff -f
/bin/busybox umount /dev
[ ! -d /root/dev ] || /bin/busybox mount -t devtmpfs devtmpfs /root/dev
exec /bin/busybox switch_root /root "$init" "$@"
