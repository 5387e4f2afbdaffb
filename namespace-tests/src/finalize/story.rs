//! What happened to a system before it is finalized. All of it is text, so that a disk can be cached under what it was made from.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use qemu_tests::cache::Recipe;
use qemu_tests::command::run;
use qemu_tests::host;

/// A filesystem that the host's kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filesystem {
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs, without subvolumes.
    Btrfs,
}

impl Filesystem {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Filesystem::Ext4 => "ext4",
            Filesystem::Xfs => "xfs",
            Filesystem::Btrfs => "btrfs",
        }
    }

    /// Options that mount an image of it.
    pub(super) fn mount_options(self) -> &'static str {
        // XFS refuses a second filesystem of the same UUID, as two copies of one machine are.
        if self == Filesystem::Xfs { "loop,nouuid" } else { "loop" }
    }

    /// Makes one in a sparse file of this size (`400M`).
    pub(super) fn make(self, image: &Path, size: &str) -> Result<()> {
        run(Command::new("truncate").args(["--size", size]).arg(image))?;
        let mut command = Command::new(format!("mkfs.{}", self.name()));
        command.arg("-q").env("PATH", host::PATH);
        if self == Filesystem::Ext4 {
            // Blocks as on a disk of today; a small journal is less to copy.
            command.args(["-b", "4096", "-J", "size=4"]);
        }
        run(command.arg(image)).map(drop)
    }
}

/// Where `/boot` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// A directory of the physical root.
    Same,
    /// A filesystem of its own.
    Separate(Filesystem),
}

/// A commit: the tree before it, changed.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The branch that it is on, afterwards.
    pub branch: String,
    /// The version in its metadata; empty: none.
    pub version: String,
    /// A shell script that runs in the tree's directory, with the functions of `guest/story.sh`.
    pub edit: String,
}

/// Something that happens while the system runs, or at its end.
#[derive(Clone, Debug)]
pub enum Step {
    /// A shell script in the booted system.
    Run(String),
    /// The peer finalizes what is staged, and the default entry is booted.
    Reboot,
    /// The power is gone, and the default entry is booted.
    BootDefault,
}

/// How a system came to be in the state in which it is finalized. Every story begins with version 1 of a small tree, on
/// `os/stable`, deployed to the stateroot `os` and booted.
#[derive(Clone, Debug)]
pub struct Story {
    /// Names the cached disk.
    pub name: String,
    /// Of the physical root.
    pub filesystem: Filesystem,
    /// Where `/boot` is.
    pub boot: Boot,
    /// Size of the physical root's image.
    pub root_size: String,
    /// Size of the image of a separate `/boot`.
    pub boot_size: String,
    /// Bytes of each kernel.
    pub kernel_bytes: usize,
    /// Bytes of each initramfs.
    pub initramfs_bytes: usize,
    /// Settings in the repository's config, like `("sysroot.bootprefix", "true")`.
    pub repo_config: Vec<(String, String)>,
    /// Whether `/sysroot` is mounted read-only in the booted system.
    pub read_only_sysroot: bool,
    /// A script that changes the first tree before it is committed.
    pub first_tree: String,
    /// Kernel arguments of the installation.
    pub arguments: Vec<String>,
    /// A script that runs after the installation of the first tree, in the guest's root filesystem, with the disk at `/target`.
    pub installed: String,
    /// The commits after the first one, in order.
    pub trees: Vec<Tree>,
    /// What happens from the first boot on, staging included.
    pub steps: Vec<Step>,
}

impl Story {
    /// A system on one ext4, on which nothing has happened.
    pub fn named(name: impl Into<String>) -> Story {
        Story {
            name: name.into(),
            filesystem: Filesystem::Ext4,
            boot: Boot::Same,
            root_size: "400M".to_owned(),
            boot_size: "100M".to_owned(),
            kernel_bytes: 1_000_000,
            initramfs_bytes: 1_500_000,
            repo_config: Vec::new(),
            read_only_sysroot: false,
            first_tree: String::new(),
            arguments: vec!["root=LABEL=root".to_owned(), "rw".to_owned()],
            installed: String::new(),
            trees: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The shortest story: version 2 with another kernel, staged.
    pub fn new_kernel() -> Story {
        Story::named("new-kernel").tree("os/next", "2", "kernel 2").stage("os/next")
    }

    /// On this filesystem. XFS needs 300 MB.
    #[must_use]
    pub fn on(mut self, filesystem: Filesystem) -> Story {
        self.filesystem = filesystem;
        self
    }

    /// With `/boot` on a filesystem of its own; an XFS gets its smallest size.
    #[must_use]
    pub fn with_boot_on(mut self, filesystem: Filesystem) -> Story {
        self.boot = Boot::Separate(filesystem);
        if filesystem == Filesystem::Xfs {
            self.boot_size = "300M".to_owned();
        }
        self
    }

    /// With a setting in the repository's config.
    #[must_use]
    pub fn configured(mut self, key: &str, value: &str) -> Story {
        self.repo_config.push((key.to_owned(), value.to_owned()));
        self
    }

    /// With the first tree changed by a script.
    #[must_use]
    pub fn first_tree(mut self, edit: impl Into<String>) -> Story {
        self.first_tree = edit.into();
        self
    }

    /// With a script after the installation.
    #[must_use]
    pub fn installed(mut self, script: impl Into<String>) -> Story {
        self.installed = script.into();
        self
    }

    /// With one more commit: see [`Tree`].
    #[must_use]
    pub fn tree(mut self, branch: &str, version: &str, edit: impl Into<String>) -> Story {
        self.trees.push(Tree { branch: branch.to_owned(), version: version.to_owned(), edit: edit.into() });
        self
    }

    /// Then this happens in the booted system.
    #[must_use]
    pub fn then(mut self, script: impl Into<String>) -> Story {
        self.steps.push(Step::Run(script.into()));
        self
    }

    /// Then this is staged: arguments of `ostree admin deploy --stage`.
    #[must_use]
    pub fn stage(self, arguments: &str) -> Story {
        self.then(format!("ostree admin deploy --stage {arguments}"))
    }

    /// Then the peer finalizes, and the new default is booted.
    #[must_use]
    pub fn reboot(mut self) -> Story {
        self.steps.push(Step::Reboot);
        self
    }

    /// Then the default is booted, with nothing finalized before.
    #[must_use]
    pub fn boot_default(mut self) -> Story {
        self.steps.push(Step::BootDefault);
        self
    }

    /// Everything that decides what is on the disk.
    pub(super) fn add_to(&self, recipe: Recipe) -> Recipe {
        recipe.with("story", format!("{self:?}"))
    }
}
