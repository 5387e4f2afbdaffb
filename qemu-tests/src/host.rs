//! What the machine that runs the tests must have.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::apt;
use crate::command::run;

/// Programs, and the Debian packages that they come from.
const NEEDED: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mmdebstrap", "mmdebstrap"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("qemu-storage-daemon", "qemu-utils"),
    ("grub-fstest", "grub-common"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("cpio", "cpio"),
    ("strace", "strace"),
    // Attributes of files that a finalization has to carry over.
    ("setfattr", "attr"),
    ("setfacl", "acl"),
    ("setcap", "libcap2-bin"),
    // For machines that boot from an ESP.
    ("mformat", "mtools"),
    ("sfdisk", "fdisk"),
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    ("/usr/lib/systemd/boot/efi/systemd-bootx64.efi", "systemd-boot-efi"),
    ("extlinux", "extlinux"),
    ("sbsign", "sbsigntool"),
    ("openssl", "openssl"),
    ("objcopy", "binutils"),
    // For the packages of this project.
    ("dh", "debhelper"),
    ("rpmbuild", "rpm"),
    ("lintian", "lintian"),
    // Statically linked: it runs where there is no other file.
    ("busybox", "busybox-static"),
];

/// Debian 12's mmdebstrap and QEMU are too old for the guests and for the flags in `qemu`; its backports are not.
const BACKPORTS: &str = "bookworm-backports";
const BACKPORTS_SOURCE: &str = "/etc/apt/sources.list.d/firstroot-bookworm-backports.sources";

/// mmdebstrap verifies a suite's signature with the host's `debian-archive-keyring` (Debian 13 and testing are signed with
/// keys that Debian 12 got in a point release: 2023.3+deb12u2). This key is in every keyring that is new enough.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-trixie-automatic.gpg";
const KEYRING_PACKAGE: &str = "debian-archive-keyring";

/// Where the programs are: a user's own may lack where mkfs is.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes sure that whole machines can be built and run here: root, and programs, which are installed when missing.
pub fn ensure_ready() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "whole machines need root: they mount disk images and chroot into guests"
    );
    ensure_installed()
}

/// Gives this thread, and the threads and programs that it starts, a mount namespace of their own, so that a disk image that is
/// mounted when they end is unmounted with them.
pub fn enter_mount_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("entering a mount namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("making / private")
}

/// Does `work` in a thread with a mount namespace of its own: programs that other threads start do not see its mounts, and cannot
/// keep them.
pub fn in_a_mount_namespace<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let work = || {
        enter_mount_namespace()?;
        work()
    };
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Makes sure of the programs alone: who builds packages need not be root, unless one is missing.
pub fn ensure_installed() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        bail!("missing: {}; without apt-get they are yours to install", missing.join(" "));
    }
    eprintln!("installing {} …", missing.join(" "));
    let release = if apt::codename()? == "bookworm" { add_backports()? } else { &[] };
    apt_get(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend_from_slice(release);
    install.extend(missing);
    // A large run has failed with vanished files and gone through when it was repeated.
    if let Err(error) = apt_get(&install) {
        eprintln!("{error:#}\nonce more …");
        apt_get(&["update"])?;
        apt_get(&install)?;
    }
    Ok(())
}

fn missing() -> Vec<&'static str> {
    let programs = NEEDED.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package);
    let keyring = (!Path::new(KEYRING).exists()).then_some(KEYRING_PACKAGE);
    programs.chain(keyring).collect()
}

fn has(program: &str) -> bool {
    PATH.split(':').any(|directory| Path::new(directory).join(program).is_file())
}

fn add_backports() -> Result<&'static [&'static str]> {
    let text = format!(
        "Types: deb\nURIs: {}\nSuites: {BACKPORTS}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        apt::mirror()?
    );
    fs::write(BACKPORTS_SOURCE, text).with_context(|| format!("writing {BACKPORTS_SOURCE}"))?;
    Ok(&["--target-release", BACKPORTS])
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    run(Command::new("apt-get").arg("--quiet").args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
