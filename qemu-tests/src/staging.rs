//! Updates that are staged in the guest, and what the next boot tells of their finalization.

/// Shell functions: the journal is kept, for the next boot to be looked at.
const PRELUDE: &str = r#"
set -e
mkdir -p /var/log/journal
journalctl --flush
kver=$(uname -r)
unit=ostree-finalize-staged-prepare
repo=/sysroot/ostree/repo

# A commit that is the booted one with another version, a file in /etc, and another initramfs (zeros after its end). Its checksum
# is the same on each machine.
commit() {
    tree=/var/tmp/tree-$1
    mkdir -p "$tree/usr/etc" "$tree/usr/lib/modules/$kver"
    echo "vendor $1" >"$tree/usr/etc/vendor"
    cp "/usr/lib/modules/$kver/initramfs.img" "$tree/usr/lib/modules/$kver/"
    head -c $((512 * $1)) /dev/zero >>"$tree/usr/lib/modules/$kver/initramfs.img"
    ostree --repo=$repo commit --branch="firstroot/$1" --tree=ref=firstroot/guest --tree=dir="$tree" \
        --add-metadata-string=version="$1" --no-bindings --timestamp='2025-02-01 00:00:00 +0000'
    rm -r "$tree"
}
stage() {
    commit "$1"
    shift
    ostree admin deploy --os=default --stage "$@" "firstroot/$version"
}
prepared() {
    # Until the path unit has seen it, and the service has done its work.
    for n in $(seq 120); do
        if journalctl --boot --unit=$unit --output=cat | grep --quiet "$1"; then return; fi
        # A policy takes minutes to build, and a machine that says nothing for long is given up.
        [ $((n % 30)) != 0 ] || echo still preparing >/dev/console || true
        sleep 1
    done
    journalctl --boot --unit=$unit
    return 1
}
# Until this service, which stays active, has done its work.
is_done() {
    for n in $(seq 300); do
        if systemctl is-active "$1"; then return; fi
        if systemctl is-failed "$1"; then return 1; fi
        sleep 1
    done
    systemctl status "$1"
}
# How often it was started; waited for, since it would take a while to be seen starting itself.
starts() {
    sleep 5
    echo starts: $(journalctl --boot --unit=$unit --output=cat | grep --count ^Starting)
}
# What the shutdown before this boot said.
before() { journalctl --boot=-1 --output=cat --unit="$1"; }
# Of messages with this identifier: who sent them, and what programs read.
structured() { journalctl --boot=-1 --output=export MESSAGE_ID="$1" | grep -aE '^(SYSLOG_IDENTIFIER|FIRSTROOT|ETC_N|OSTREE)'; }
"#;

/// A script that has these functions: `stage VERSION` makes a commit and stages it, `prepared TEXT` waits for `--prepare` to say it,
/// `is_done UNIT` waits for a service, `before UNIT` is what the unit said in the boot before, `structured ID` the fields of such messages.
pub fn script(text: &str) -> String {
    format!("{PRELUDE}{text}")
}
