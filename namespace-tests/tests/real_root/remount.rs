//! The remounts leave the same mounts as libostree's.

use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use ostree_formats::booted_state::BootedState;
use qemu_tests::guest::Guest;

use crate::booted::{image, plain, write};
use crate::{OURS, REMOUNT, guest_with_ours, trial};

/// A boot up to `systemd-remount-fs.service`.
struct Case {
    name: &'static str,
    /// What prepare-root has noted; `None`: nothing.
    booted: Option<fn() -> Vec<u8>>,
    /// Shell commands that change an ordinary machine, in which `/sysroot`, `/etc` and `/var` are writable.
    arrange: &'static str,
    /// A line of its output; empty: it changes nothing.
    says: &'static str,
}

const READ_ONLY_VAR: &str = "mount -o remount,ro /var";
const ALL_READ_ONLY: &str = "mount -o remount,ro /var; mount -o remount,ro /sysroot; mount -o remount,ro /etc";

const fn case(name: &'static str, arrange: &'static str, says: &'static str) -> Case {
    Case { name, booted: Some(|| plain().to_bytes()), arrange, says }
}

fn read_only_sysroot() -> BootedState {
    BootedState { sysroot_ro: true, ..plain() }
}

fn transient() -> BootedState {
    BootedState { sysroot_ro: true, transient_etc: Some("/run/ostree/transient-etc".to_owned()), ..plain() }
}

static CASES: &[Case] = &[
    case("all_is_well", "", ""),
    case("a_var_that_is_read_only", READ_ONLY_VAR, "Remounted rw: /var"),
    case("all_read_only", ALL_READ_ONLY, "Remounted rw: /sysroot"),
    case("a_root_that_is_read_only", "mount -o remount,ro /var; mount -o remount,bind,ro /", ""),
    case(
        "a_var_that_is_a_link",
        "umount /var; rm -rf /var; ln -s sysroot /var; mount -o remount,ro /sysroot",
        "Remounted rw: /sysroot",
    ),
    case("a_var_that_is_no_mount", "umount /var; mount -o remount,ro /sysroot", "Remounted rw: /sysroot"),
    case("no_var_and_no_sysroot", "umount /var /sysroot; rm -rf /var /sysroot", ""),
    case("a_mount_with_more_flags", "mount -o remount,ro,nosuid,nodev,noexec,noatime /var", "Remounted rw: /var"),
    case("only_the_mount_is_read_only", "mount -o remount,bind,ro /var", "Remounted rw: /var"),
    case(
        "below_a_mount_of_the_same_filesystem",
        "umount /var; mount --bind /sysroot /var; mount -o remount,ro /var",
        "Remounted rw: /sysroot",
    ),
    Case { booted: Some(|| read_only_sysroot().to_bytes()), ..case("sysroot_readonly", "", "Remounted ro: /sysroot") },
    Case {
        booted: Some(|| read_only_sysroot().to_bytes()),
        ..case("sysroot_readonly_and_all_read_only", ALL_READ_ONLY, "Remounted rw: /etc")
    },
    Case { booted: Some(|| transient().to_bytes()), ..case("transient_etc", ALL_READ_ONLY, "Remounted rw: /var") },
    Case {
        booted: Some(|| image().to_bytes()),
        ..case("an_image", "mount -o remount,ro /var; mount -o remount,bind,ro /", "Remounted rw: /var")
    },
    Case { booted: None, ..case("an_old_initramfs", ALL_READ_ONLY, "Remounted rw: /var") },
    Case { booted: Some(Vec::new), ..case("an_empty_file", ALL_READ_ONLY, "Remounted rw: /var") },
    Case { booted: Some(|| b"garbage".to_vec()), ..case("a_damaged_file", ALL_READ_ONLY, "Remounted rw: /var") },
];

/// What the mount table says of the four directories, and what is below `/run`.
const SHOW: &str = "for path in / /sysroot /etc /var; do
        findmnt --noheadings --raw --output=TARGET,FSTYPE,VFS-OPTIONS,FS-OPTIONS,PROPAGATION --mountpoint=$path || echo no $path
    done | sed 's/,lowerdir=[^ ]*//'
    find /run -maxdepth 1 -name 'ostree*' -printf '%P %y %m %s\\n' | sort";

pub(crate) fn trials() -> Vec<Trial> {
    let of = |case: &'static Case| trial(Guest::Forky, &format!("remount::{}", case.name), move || compare(case));
    CASES.iter().map(of).collect()
}

fn compare(case: &Case) -> Result<()> {
    let theirs = run(case, REMOUNT)?;
    let ours = run(case, &format!("{OURS}/ostree-remount"))?;
    ensure!(ours == theirs, "libostree's:\n{theirs}\nours:\n{ours}");
    let (before, after) = theirs.split_once("before\n").unwrap_or_default();
    ensure!(before.is_empty() || !after.is_empty(), "{theirs}");
    ensure!(theirs.lines().any(|line| line == case.says) != case.says.is_empty(), "{theirs}");
    ensure!(theirs.contains("Remounted") != case.says.is_empty(), "{theirs}");
    Ok(())
}

fn run(case: &Case, program: &str) -> Result<String> {
    let booted = case.booted.map(|bytes| write(&bytes())).unwrap_or_default();
    let script = format!(
        "mkdir -p /sysroot
        mount -t tmpfs sysroot /sysroot; mount -t tmpfs etc /etc; mount -t tmpfs var /var
        {booted}{}
        show() {{ {SHOW}\n }}
        show; status=0; {program} 2>/run/said || status=$?; echo \"status $status\"; show
        {program} 2>/run/said; echo again; show",
        case.arrange
    );
    guest_with_ours(Guest::Forky)?.run(&script)
}

/// libostree stops at the first one. A file that is open for writing keeps a filesystem writable.
pub(crate) fn a_mount_that_is_busy_does_not_keep_the_others(guest: Guest) -> Result<()> {
    let booted = write(&read_only_sysroot().to_bytes());
    let script = format!(
        "mkdir -p /sysroot; mount -t tmpfs sysroot /sysroot; mount -t tmpfs -o ro var /var
        {booted}exec 9>/sysroot/open
        status=0; {OURS}/ostree-remount 2>&1 || status=$?; echo \"status $status\"
        findmnt --noheadings --output=FS-OPTIONS --mountpoint=/var"
    );
    let output = guest_with_ours(guest)?.run(&script)?;
    let said = "ostree-remount: cannot remount /sysroot ro: Device or resource busy (os error 16)\nRemounted rw: /var\nstatus 1\nrw";
    ensure!(output.starts_with(said), "{output}");
    Ok(())
}

/// Files of a transient `/etc` that the initramfs has made or changed: without a label, with one of another type, with one of another
/// user, deep ones, a link, a name of odd bytes, one that is covered by a mount, one that was removed.
const LABELS: &str = "
    library=/host/usr/lib/x86_64-linux-gnu
    of_host() { program=$1; shift; $library/ld-linux-x86-64.so.2 --library-path $library /host/usr/bin/$program \"$@\"; }
    setfattr() { of_host setfattr \"$@\"; }
    getfattr() { of_host getfattr \"$@\"; }
    mkdir -p /run/lower /run/ostree/transient-etc/upper /run/ostree/transient-etc/work; cp -a /etc/. /run/lower
    cd /run/ostree/transient-etc/upper; mkdir -p ssh/sshd_config.d pam.d new.d
    touch shadow passwd hosts ssh/ssh_host_rsa_key ssh/sshd_config.d/x machine-id pam.d/other locale.conf 'new.d/a b' resolv.conf
    ln -s ../usr/share/zoneinfo/UTC localtime; mknod removed c 0 0
    for name in hosts pam.d/other; do setfattr -n security.selinux -v system_u:object_r:unlabeled_t:s0 $name; done
    setfattr -n security.selinux -v staff_u:object_r:tmp_t:s0 locale.conf
    setfattr -n security.selinux -v staff_u:object_r:passwd_file_t:s0 passwd
    cd /; mount -t overlay -o lowerdir=/run/lower,upperdir=/run/ostree/transient-etc/upper,workdir=/run/ostree/transient-etc/work etc /etc
    echo 0123456789abcdef0123456789abcdef >/run/machine-id; mount --bind /run/machine-id /etc/machine-id
    mount -t tmpfs fs /sys/fs; mkdir /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce; mkdir -p /sysroot
";

pub(crate) fn a_transient_etc_gets_the_labels_that_libostree_gives(guest: Guest) -> Result<()> {
    let booted = write(&transient().to_bytes());
    let labels = |program: &str| {
        let script = format!(
            "{booted}{LABELS}
            {program} >&2
            getfattr -h --absolute-names -n security.selinux /run/machine-id 2>&1 || :
            umount /etc/machine-id
            find /run/ostree/transient-etc/upper | LC_ALL=C sort | sed 's|/run/ostree/transient-etc/upper|/etc|' | while read -r name; do
                echo \"$name $(getfattr -h --absolute-names --only-values -n security.selinux \"$name\" 2>&1 | tr -d '\\0')\"
            done"
        );
        guest_with_ours(guest)?.bound(Path::new("/"), "/host").run(&script)
    };
    let theirs = labels(REMOUNT)?;
    let ours = labels(&format!("{OURS}/ostree-remount"))?;
    ensure!(ours == theirs, "libostree's:\n{theirs}\nours:\n{ours}");
    for line in [
        "/etc system_u:object_r:etc_t:s0",
        "/etc/shadow system_u:object_r:shadow_t:s0",
        "/etc/locale.conf staff_u:object_r:etc_t:s0",
        "/etc/machine-id system_u:object_r:etc_runtime_t:s0",
        "/etc/ssh/ssh_host_rsa_key system_u:object_r:sshd_key_t:s0",
    ] {
        ensure!(ours.lines().any(|found| found == line), "no {line:?} in {ours}");
    }
    Ok(())
}
