#!/bin/sh
# Runs the script on the virtio disk "script", then writes what a test wants to know as a tar to the disk "report".

# A disk by its serial; udev, which makes links of that name, may still be at work.
disk() {
    for serial in /sys/block/vd*/serial; do
        [ "$(cat "$serial")" != "$1" ] || basename "$(dirname "$serial")"
    done
}
script=/dev/$(disk script)
report=/dev/$(disk report)

# Only a system whose start is over knows how long it took, and whether all is well.
state=$(systemctl is-system-running --wait)

facts=/run/firstroot-report
mkdir -p "$facts"
cd "$facts" || exit 1

# First, so that a script's own changes are not taken for what the boot left.
echo "$state" >system-state
cp /proc/self/mountinfo mountinfo
cp /proc/1/mountinfo mountinfo-1
cp /proc/cmdline cmdline
cp /run/ostree-booted ostree-booted 2>/dev/null
ls -laR /run/ostree >run-ostree 2>&1
cp -a /run/ostree run-ostree-files 2>/dev/null
readlink /run/systemd/volatile-root >volatile-root 2>/dev/null
ostree admin status >admin-status 2>&1

sh "$script" >script-output 2>&1
echo $? >script-status
cp /proc/self/mountinfo mountinfo-after

systemctl list-units --failed --plain --no-legend >failed-units 2>&1
systemd-analyze >systemd-analyze 2>&1
journalctl --sync
journalctl -b -o export >journal.export
cp /etc/os-release os-release

tar -cf "$report" -C "$facts" .
sync "$report"
systemctl --no-block poweroff
