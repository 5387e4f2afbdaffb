//! Disk images with a deployed system.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{Artefact, Cache, Recipe};
use crate::command::run;
use crate::mounted::Mounted;
use crate::namespace::Namespace;
use crate::tree::{BRANCH, Tree};

/// The stateroot that systems are deployed to.
pub const STATEROOT: &str = "default";

/// Fixed, so that a kernel command line is the same on each image.
pub(crate) const ROOT_UUID: &str = "5f1a7c00-0000-4000-8000-000000000001";
pub(crate) const BOOT_UUID: &str = "5f1a7c00-0000-4000-8000-000000000002";

const LABEL_DISK: &str = include_str!("../guest/label-disk.sh");

const ROOT_SIZE: &str = "3G";
const BOOT_SIZE: &str = "768M";

/// What the physical root is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filesystem {
    /// One ext4 with `/boot` in it.
    Ext4,
    /// An ext4, and `/boot` on an ext4 of its own.
    Ext4WithBoot,
    /// One XFS with `/boot` in it.
    Xfs,
    /// Fedora Kinoite's layout: btrfs with the system in the subvolume `root`, and `/boot` on an ext4 of its own.
    BtrfsSubvolume,
}

impl Filesystem {
    /// For `rootfstype=` and names.
    pub fn name(self) -> &'static str {
        match self {
            Filesystem::Ext4 | Filesystem::Ext4WithBoot => "ext4",
            Filesystem::Xfs => "xfs",
            Filesystem::BtrfsSubvolume => "btrfs",
        }
    }

    /// Whether `/boot` is a filesystem of its own.
    pub fn has_boot_disk(self) -> bool {
        matches!(self, Filesystem::BtrfsSubvolume | Filesystem::Ext4WithBoot)
    }

    /// The kernel arguments that the installer of such a system writes into its boot loader entries.
    pub fn kernel_arguments(self) -> Vec<String> {
        let mut arguments = vec![format!("root=UUID={ROOT_UUID}")];
        match self {
            Filesystem::Ext4 | Filesystem::Ext4WithBoot | Filesystem::Xfs => {}
            Filesystem::BtrfsSubvolume => arguments.push("rootflags=subvol=root".to_owned()),
        }
        arguments.push("rw".to_owned());
        if self.has_boot_disk() {
            arguments.push(format!("boot=UUID={BOOT_UUID}"));
        }
        arguments
    }

    /// What an installer writes into the deployment's `/etc/fstab`.
    fn fstab(self) -> String {
        match self {
            Filesystem::Ext4 | Filesystem::Xfs => String::new(),
            Filesystem::Ext4WithBoot => boot_in_fstab("defaults"),
            Filesystem::BtrfsSubvolume => {
                format!("UUID={ROOT_UUID} / btrfs subvol=root 0 0\nUUID={BOOT_UUID} /boot ext4 defaults 1 2\n")
            }
        }
    }

    fn make(self, image: &Path) -> Result<()> {
        let mut command = match self {
            Filesystem::Ext4 | Filesystem::Ext4WithBoot => Command::new("mkfs.ext4"),
            Filesystem::Xfs => Command::new("mkfs.xfs"),
            Filesystem::BtrfsSubvolume => Command::new("mkfs.btrfs"),
        };
        match self {
            // As image builders make it who want files that can be sealed.
            Filesystem::Ext4 | Filesystem::Ext4WithBoot => command.args(["-q", "-O", "verity", "-U", ROOT_UUID]),
            Filesystem::Xfs => command.args(["-q", "-m", &format!("uuid={ROOT_UUID}")]),
            Filesystem::BtrfsSubvolume => command.args(["-q", "-U", ROOT_UUID]),
        };
        run(command.arg(image).env("PATH", crate::host::PATH)).map(drop)
    }

    fn mount_options(self) -> &'static str {
        match self {
            Filesystem::Ext4 | Filesystem::Ext4WithBoot | Filesystem::Xfs => "loop",
            Filesystem::BtrfsSubvolume => "loop,subvol=root",
        }
    }
}

/// What gives every file of the disk a label, where the guest has labels.
fn label_script(tree: &Tree) -> &'static str {
    if tree.rootfs().guest().has_selinux() { LABEL_DISK } else { "" }
}

/// The line of `/etc/fstab` for a `/boot` of its own.
pub(crate) fn boot_in_fstab(options: &str) -> String {
    format!("UUID={BOOT_UUID} /boot ext4 {options} 0 0\n")
}

impl fmt::Display for Filesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_str(if *self == Filesystem::Ext4WithBoot { "-with-boot" } else { "" })
    }
}

/// The disks of one machine, as raw images in a directory.
#[derive(Clone, Debug)]
pub struct Disks {
    directory: PathBuf,
    filesystem: Filesystem,
}

impl Disks {
    /// Disks on which the guest's own `ostree` deployed `tree`, in the cache: to be copied, not changed.
    pub fn deployed(
        tree: &Tree,
        filesystem: Filesystem,
        provider_name: &str,
        cache: &Cache,
    ) -> Result<(Disks, Artefact)> {
        let recipe = Recipe::new(include_str!("disk.rs"))
            .with("filesystem", filesystem.to_string())
            .with("label", label_script(tree))
            .made_from(tree.artefact());
        let name = format!("disk-{}-{provider_name}-{filesystem}", tree.rootfs().guest());
        let artefact = cache.artefact(&name, &recipe, |directory| {
            Disks { directory: directory.to_path_buf(), filesystem }.deploy(tree)
        })?;
        Ok((Disks { directory: artefact.path().to_path_buf(), filesystem }, artefact))
    }

    /// Copies them to `directory`, without filling holes.
    pub fn copy_to(&self, directory: &Path) -> Result<Disks> {
        for image in self.images() {
            run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).arg(image).arg(directory))?;
        }
        Ok(Disks { directory: directory.to_path_buf(), filesystem: self.filesystem })
    }

    /// Their filesystem.
    pub fn filesystem(&self) -> Filesystem {
        self.filesystem
    }

    /// Images in the order in which the guest sees them as `/dev/vda` and so on.
    pub fn images(&self) -> Vec<PathBuf> {
        let mut images = vec![self.root_image()];
        if self.filesystem.has_boot_disk() {
            images.push(self.boot_image());
        }
        images
    }

    /// Mounts them on this machine while `work` runs with the path of the physical root, `/boot` included.
    pub fn mounted<T>(&self, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let root = Mounted::new(&self.root_image(), self.filesystem.mount_options())?;
        let boot = if self.filesystem.has_boot_disk() {
            Some(Mounted::at(&self.boot_image(), "loop", &root.path().join("boot"))?)
        } else {
            None
        };
        let result = work(root.path());
        if let Some(boot) = boot {
            boot.unmount()?;
        }
        root.unmount()?;
        result
    }

    /// Mounts what a boot loader reads while `work` runs with the path of `/boot`. The physical root stays as it is where it is another
    /// filesystem: of several disks this machine would have to know all.
    pub(crate) fn boot_mounted<T>(&self, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        if !self.filesystem.has_boot_disk() {
            return self.mounted(|root| work(&root.join("boot")));
        }
        let boot = Mounted::new(&self.boot_image(), "loop")?;
        let result = work(boot.path());
        boot.unmount()?;
        result
    }

    /// Makes the filesystem of `/boot` again, with these features, and all that was in it.
    pub(crate) fn make_boot_again(&self, features: &str) -> Result<()> {
        let image = self.boot_image();
        let kept = tempfile::tempdir().context("creating a directory")?;
        let copy = |from: &Path, to: &Path| run(Command::new("cp").arg("--archive").arg(from.join(".")).arg(to));
        self.boot_mounted(|boot| copy(boot, kept.path()))?;
        let mut make = Command::new("mkfs.ext4");
        run(make.args(["-q", "-F", "-O", features, "-U", BOOT_UUID]).arg(&image).env("PATH", crate::host::PATH))?;
        self.boot_mounted(|boot| copy(kept.path(), boot)).map(drop)
    }

    fn root_image(&self) -> PathBuf {
        self.directory.join("root.img")
    }

    fn boot_image(&self) -> PathBuf {
        self.directory.join("boot.img")
    }

    fn deploy(&self, tree: &Tree) -> Result<()> {
        self.make_filesystems().context("making filesystems")?;
        let fstab = self.filesystem.fstab();
        let arguments = self.filesystem.kernel_arguments();
        let of_guest = tree.rootfs().guest().kernel_arguments().iter().copied();
        let arguments: Vec<String> =
            arguments.iter().map(String::as_str).chain(of_guest).map(|a| format!("--karg-append={a}")).collect();
        let deploy = format!("ostree admin deploy --sysroot=/target --os={STATEROOT}");
        // A system that has been updated once: its boot links are of bootversion 0, as in most reports of users.
        let update = if self.has_been_updated() { format!("{deploy} {BRANCH}") } else { String::new() };
        let label = label_script(tree);
        self.mounted(|root| {
            Namespace::of(&tree.rootfs().path())
                .bound(&tree.repository(), "/repo")
                .mounted(&format!("--rbind '{}'", root.display()), "/target")
                .run(&format!(
                    "ostree admin init-fs --modern /target\n\
                     ostree --repo=/target/ostree/repo config set sysroot.bootloader none\n\
                     ostree admin os-init --sysroot=/target {STATEROOT}\n\
                     ostree --repo=/target/ostree/repo pull-local --disable-fsync /repo\n\
                     {deploy} {} {BRANCH}\n\
                     printf '%s' '{fstab}' >$(echo /target/ostree/deploy/{STATEROOT}/deploy/*.0/etc/fstab)\n\
                     {update}\n\
                     {label}\n\
                     sync -f /target\n",
                    arguments.join(" ")
                ))
                .map(drop)
        })
    }

    fn has_been_updated(&self) -> bool {
        self.filesystem == Filesystem::BtrfsSubvolume
    }

    fn make_filesystems(&self) -> Result<()> {
        let root = self.root_image();
        run(Command::new("truncate").args(["--size", ROOT_SIZE]).arg(&root))?;
        self.filesystem.make(&root)?;
        if self.filesystem.has_boot_disk() {
            let top = Mounted::new(&root, "loop")?;
            let mut system = top.path().to_path_buf();
            if self.filesystem == Filesystem::BtrfsSubvolume {
                system.push("root");
                run(Command::new("btrfs").args(["subvolume", "create"]).arg(&system))?;
            }
            std::fs::create_dir(system.join("boot")).context("creating boot")?;
            top.unmount()?;
        }
        if self.filesystem.has_boot_disk() {
            let boot = self.boot_image();
            run(Command::new("truncate").args(["--size", BOOT_SIZE]).arg(&boot))?;
            run(Command::new("mkfs.ext4").args(["-q", "-U", BOOT_UUID]).arg(&boot).env("PATH", crate::host::PATH))?;
        }
        Ok(())
    }
}
