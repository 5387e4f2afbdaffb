# Process 1 of a PID namespace, in a mount namespace of its own: makes what a booted system looks like, runs $script in it,
# and keeps what it leaves in /run/ostree. The directory $machine has the disks.
set -eu

mount -t tmpfs -o mode=0755 layout "$machine/mnt"
cd "$machine/mnt"
mkdir physical system layer

# As prepare-root leaves it.
mount -o "$root_options" "$root_image" physical
# The link was followed when the system was booted: it may be gone by now, when a finalization comes before this run.
if [ ! -e "$machine/deployment" ]; then
    link=$(sed -E 's/^(.* )?ostree=([^ ]*).*$/\2/' "$machine/cmdline")
    realpath --relative-to=physical "physical$link" >"$machine/deployment"
fi
deployment=physical/$(cat "$machine/deployment")
mount --bind "$deployment" system
backing=$(stat -c '%d %i' system)
mount --bind physical system/sysroot
mount --bind "${deployment%/deploy/*}/var" system/var
if [ -n "$boot_image" ]; then
    mount -o "$boot_options" "$boot_image" system/boot
else
    mount --bind physical/boot system/boot
fi
if [ -n "$read_only_sysroot" ]; then
    mount --bind system/etc system/etc
    mount -o remount,bind,ro system/sysroot
fi

# The guest's programs, of which the tree has none.
if [ -n "$binary" ]; then
    mkdir -p layer/lib/firstroot
    : >layer/lib/firstroot/ostree-finalize-staged
    chmod 755 layer/lib/firstroot/ostree-finalize-staged
fi
# Programs of a story that the guest lacks.
[ ! -d system/var/usr ] || cp -a system/var/usr/. layer/
mount -t overlay -o "ro,lowerdir=layer:$rootfs/usr" usr system/usr
[ -z "$binary" ] || mount --bind "$binary" system/usr/lib/firstroot/ostree-finalize-staged

mount -t tmpfs -o mode=0755,nosuid,nodev run system/run
mkdir -p system/run/ostree system/run/systemd/journal system/run/lock system/run/fixture/host/usr system/run/fixture/machine
[ ! -d "$machine/run-ostree" ] || cp -a "$machine/run-ostree/." system/run/ostree/
: >system/run/systemd/journal/socket
mount --bind "$machine/journal.socket" system/run/systemd/journal/socket
mount --bind -o ro /usr system/run/fixture/host/usr
mount --bind "$machine" system/run/fixture/machine

# The template has zeros where device and inode are, at 32 and 40.
little_endian() {
    number=$1
    for _ in 1 2 3 4 5 6 7 8; do
        printf "\\$(printf %03o $((number % 256)))"
        number=$((number / 256))
    done
}
{
    head -c 32 "$machine/booted"
    for number in $backing; do little_endian "$number"; done
    tail -c +49 "$machine/booted"
} >system/run/ostree-booted

mount -t proc proc system/proc
mount --bind "$machine/cmdline" system/proc/cmdline
mount -t sysfs sysfs system/sys
mount --rbind /dev system/dev
cd system
pivot_root . .
umount -l .
cd /
eval "$tools"

set +e
env -i PATH=/run/fixture/tools:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root TMPDIR=/run sh -c "$script" </dev/null
status=$?

# Whoever survived has something to finish: a watchdog, for one. When process 1 ends, the kernel kills them all.
waited=0
while set -- /proc/[0-9]* && [ $# -gt 1 ] && [ $waited -lt 250 ]; do
    sleep 0.02
    waited=$((waited + 1))
done

# A filesystem that can be thawed was left frozen; with nobody to thaw it, it would never be unmounted.
for path in /sysroot /boot; do
    if fsfreeze --unfreeze $path 2>/dev/null; then
        echo $path >>/run/fixture/machine/frozen
    fi
done
rm -rf /run/fixture/machine/run-ostree
cp -a /run/ostree /run/fixture/machine/run-ostree
echo $status >/run/fixture/machine/status
