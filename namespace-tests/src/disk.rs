//! A physical root as `ostree` would have deployed it, as far as early boot looks at it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The stateroot of every deployment made here.
pub const STATEROOT: &str = "os";

/// `BOOTLINK` with the bootcsum of [`Disk::new`]'s deployment in place of `{}`.
pub const BOOTLINK: &str = "ostree/boot.1/os/{}/0";

/// The bootcsum of a kernel and an initramfs.
pub fn bootcsum_of(kernel: &str, initramfs: &str) -> String {
    let hash = Sha256::new().chain_update(kernel).chain_update(initramfs).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tree with one deployment, at a directory that exists.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
    /// What the boot loader entry names.
    pub bootlink: String,
    /// The deployment, relative to the root.
    pub deployment: String,
    /// Of its kernel and initramfs.
    pub bootcsum: String,
}

impl Disk {
    /// Makes it: one deployment of commit `aaaa…`, boot links of bootversion 1, `/boot` on the same filesystem.
    pub fn new(root: &Path) -> Result<Self> {
        let bootcsum = bootcsum_of("kernel", "initramfs");
        let mut disk = Self {
            root: root.to_path_buf(),
            bootlink: format!("/{}", BOOTLINK.replace("{}", &bootcsum)),
            deployment: String::new(),
            bootcsum,
        };
        disk.deployment = disk.deploy('a', 0)?;
        disk.directory("ostree/repo/objects")?;
        disk.file("ostree/repo/config", "[core]\nmode=bare\n")?;
        disk.directory("ostree/deploy/os/var/log")?;
        disk.link("ostree/boot.1", "boot.1.1")?;
        disk.boot_link("boot.1.1", &disk.bootcsum.clone(), 0, &disk.deployment.clone())?;
        disk.directory("boot/loader.1/entries")?;
        disk.file("boot/marker", "boot")?;
        disk.link("boot/loader", "loader.1")?;
        Ok(disk)
    }

    /// What `ostree` has deployed there, as a kernel command line names it.
    pub(crate) fn deployed(root: &Path, arguments: &str) -> Result<Self> {
        let bootlink = arguments.split_whitespace().find_map(|word| word.strip_prefix("ostree="));
        let bootlink = bootlink.context("no ostree= on the command line")?.to_owned();
        let link = root.join(bootlink.trim_start_matches('/'));
        let deployment = link.canonicalize().with_context(|| format!("following {}", link.display()))?;
        let deployment = deployment.strip_prefix(root).context("the deployment is elsewhere")?.display().to_string();
        let bootcsum = bootlink.split('/').nth(4).unwrap_or_default().to_owned();
        Ok(Self { root: root.to_path_buf(), bootlink, deployment, bootcsum })
    }

    /// One more deployment, of commit `cccc…` where `c` is `commit`, with the kernel of the first; its path.
    pub fn deploy(&self, commit: char, serial: u32) -> Result<String> {
        self.deploy_in(STATEROOT, &commit.to_string().repeat(64), serial)
    }

    /// One more deployment of that commit, in a stateroot of that name; its path.
    pub fn deploy_in(&self, stateroot: &str, commit: &str, serial: u32) -> Result<String> {
        let path = format!("ostree/deploy/{stateroot}/deploy/{commit}.{serial}");
        for directory in ["usr/bin", "usr/etc", "etc", "var", "boot", "sysroot", "dev", "run", "proc", "sys", "tmp"] {
            self.directory(&format!("{path}/{directory}"))?;
        }
        self.link(&format!("{path}/ostree"), "sysroot/ostree")?;
        self.file(&format!("{path}/sbin/init"), "init")?;
        self.file(&format!("{path}/usr/marker"), "usr")?;
        self.file(&format!("{path}/usr/etc/marker"), "shipped")?;
        self.file(&format!("{path}/etc/marker"), "etc")?;
        self.file(&format!("{path}/usr/lib/modules/6.1/vmlinuz"), "kernel")?;
        self.file(&format!("{path}/usr/lib/modules/6.1/initramfs.img"), "initramfs")?;
        self.file(&format!("{path}.origin"), "[origin]\nrefspec=test:os/stable\n")?;
        Ok(path)
    }

    /// A boot link in the set `set` (like `boot.1.1`).
    pub fn boot_link(&self, set: &str, bootcsum: &str, serial: u32, deployment: &str) -> Result<()> {
        let target = deployment.replacen("ostree/", "../../../", 1);
        self.link(&format!("ostree/{set}/{STATEROOT}/{bootcsum}/{serial}"), &target)
    }

    /// Takes the immutable flag from the deployment's directory, which `ostree` gives it.
    pub fn make_deployment_mutable(&self) -> Result<()> {
        self.make_mutable(&self.deployment)
    }

    /// The same of another deployment.
    pub fn make_mutable(&self, deployment: &str) -> Result<()> {
        let directory = std::fs::File::open(self.path(deployment)).context("opening the deployment")?;
        system::tree::set_immutable(&directory, false).context("making the deployment mutable")
    }

    /// Where a path of the disk is.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// Makes a directory with its parents.
    pub fn directory(&self, inside: &str) -> Result<()> {
        let path = self.path(inside);
        std::fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))
    }

    /// Makes a file with its parents.
    pub fn file(&self, inside: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    }

    /// Makes a symbolic link with its parents.
    pub fn link(&self, inside: &str, target: &str) -> Result<()> {
        let path = self.path(inside);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
        symlink(target, &path).with_context(|| format!("linking {}", path.display()))
    }

    /// Removes a file, link or directory with all in it.
    pub fn remove(&self, inside: &str) -> Result<()> {
        let path = self.path(inside);
        let is_directory = path.symlink_metadata().with_context(|| path.display().to_string())?.is_dir();
        if is_directory {
            std::fs::remove_dir_all(&path)?
        } else {
            std::fs::remove_file(&path)?
        }
        Ok(())
    }

    /// The kernel argument that boots the deployment.
    pub fn argument(&self) -> String {
        format!("ostree={}", self.bootlink)
    }
}
