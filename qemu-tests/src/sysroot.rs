//! A physical root on this machine, to be looked at and damaged.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::command::run;
use crate::disk::STATEROOT;
use crate::guest::Guest;
use crate::namespace::{Namespace, quoted};
use crate::package::PREPARE_ROOT;
use crate::rootfs::Rootfs;
use crate::secure_boot;

/// Where [`Sysroot::lose_deployment`] puts it: in the stateroot, where no deployment is looked for.
pub const LOST: &str = "lost";

/// The image that [`Sysroot::add_image`] makes.
pub const IMAGE: &str = "virt.efi";

/// Complete units that need no package of libostree's: name, content.
const OWN_UNITS: [(&str, &str); 5] = [
    ("ostree-remount.service", include_str!("../../units/own/ostree-remount.service")),
    ("ostree-boot-complete.service", include_str!("../../units/own/ostree-boot-complete.service")),
    ("ostree-finalize-staged.service", include_str!("../../units/own/ostree-finalize-staged.service")),
    ("ostree-finalize-staged-hold.service", include_str!("../../units/own/ostree-finalize-staged-hold.service")),
    ("ostree-state-overlay@.service", include_str!("../../units/own/ostree-state-overlay@.service")),
];

/// The mounted physical root of a system with deployments.
#[derive(Clone, Debug)]
pub struct Sysroot<'a> {
    root: &'a Path,
}

impl<'a> Sysroot<'a> {
    /// The one that is mounted at `root`.
    pub fn at(root: &'a Path) -> Sysroot<'a> {
        Sysroot { root }
    }

    /// Fails unless each object of the repository is what its name says: `ostree fsck` of the guest, not in the guest, where it takes
    /// longer than a boot.
    pub fn has_a_whole_repository(&self, guest: Guest) -> Result<()> {
        let rootfs = Rootfs::of(guest, &Cache::open()?)?;
        let namespace = Namespace::of(&rootfs.path()).mounted(&format!("--rbind {}", quoted(self.root)), "/target");
        namespace.run("ostree --repo=/target/ostree/repo fsck --quiet").context("ostree fsck").map(drop)
    }

    /// Turns `sysroot.readonly` of the repository on.
    pub fn set_repository_readonly(&self) -> Result<()> {
        let path = self.root.join("ostree/repo/config");
        let config = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        fs::write(&path, config.replacen("[sysroot]\n", "[sysroot]\nreadonly=true\n", 1)).context("writing the config")
    }

    /// Has `ostree` look for a boot loader, as it does by default.
    pub(crate) fn look_for_boot_loader(&self) -> Result<()> {
        let path = self.root.join("ostree/repo/config");
        let config = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        anyhow::ensure!(config.contains("\nbootloader=none\n"), "{config}");
        fs::write(&path, config.replacen("\nbootloader=none\n", "\nbootloader=auto\n", 1)).context("writing the config")
    }

    /// Writes the configuration that a system without initramfs reads: the deployment's own.
    pub fn configure_deployment(&self, text: &str) -> Result<()> {
        let path = self.deployment()?.join("etc/ostree/prepare-root.conf");
        fs::create_dir_all(path.parent().unwrap_or(self.root)).context("creating etc/ostree")?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Copies a file of the host to the same place in the deployment.
    pub fn add_to_deployment(&self, file: &Path) -> Result<()> {
        let path = self.deployment()?.join(file.strip_prefix("/").unwrap_or(file));
        fs::create_dir_all(path.parent().unwrap_or(self.root)).context("creating its directory")?;
        fs::copy(file, &path).with_context(|| format!("copying {}", path.display())).map(drop)
    }

    /// Puts a signed unified kernel image beside the kernel of the deployment.
    pub fn add_image(&self) -> Result<()> {
        let modules = self.deployment()?.join("usr/lib/modules");
        let versions = fs::read_dir(&modules).with_context(|| format!("listing {}", modules.display()))?;
        let version = versions.flatten().map(|entry| entry.path()).find(|path| path.join("vmlinuz").exists());
        secure_boot::add_image(&version.context("there is no kernel")?, IMAGE)
    }

    /// Puts a link to our prepare-root where a kernel without initramfs starts libostree's.
    pub fn link_prepare_root(&self) -> Result<()> {
        let path = self.deployment()?.join(PREPARE_ROOT);
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        // Relative: the kernel looks it up from the physical root.
        symlink("../firstroot/ostree-prepare-root", &path).with_context(|| format!("linking {}", path.display()))
    }

    /// Appends a kernel argument to each boot loader entry.
    pub fn append_kernel_argument(&self, argument: &str) -> Result<()> {
        let entries = self.root.join("boot/loader/entries");
        for entry in fs::read_dir(&entries).with_context(|| format!("listing {}", entries.display()))? {
            let path = entry.with_context(|| format!("listing {}", entries.display()))?.path();
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let lines = text.lines().map(|line| match line.starts_with("options ") {
                true => format!("{line} {argument}\n"),
                false => format!("{line}\n"),
            });
            fs::write(&path, lines.collect::<String>()).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// Writes the deployment's `/etc/fstab`.
    pub fn write_fstab(&self, text: &str) -> Result<()> {
        fs::write(self.deployment()?.join("etc/fstab"), text).context("writing fstab")
    }

    /// Gives the boot links the other bootversion, while all boot loader entries keep theirs: what an update that was
    /// interrupted between the two, or a snapshot of one of two filesystems, leaves.
    pub fn put_boot_links_out_of_step(&self) -> Result<()> {
        let ostree = self.root.join("ostree");
        let (from, to) = if ostree.join("boot.1").exists() { ("boot.1", "boot.0") } else { ("boot.0", "boot.1") };
        let set = fs::read_link(ostree.join(from)).with_context(|| format!("reading the link {from}"))?;
        let renamed = format!("{to}.1");
        fs::rename(ostree.join(&set), ostree.join(&renamed)).context("renaming the boot links")?;
        fs::remove_file(ostree.join(from)).context("removing the old link")?;
        symlink(renamed, ostree.join(to)).context("making the new link")
    }

    /// Moves the deployment to where nobody looks for it; its boot links then dangle.
    pub fn lose_deployment(&self) -> Result<()> {
        let deployment = self.deployment()?;
        run(Command::new("chattr").arg("-i").arg(&deployment).env("PATH", crate::host::PATH))?;
        fs::rename(&deployment, self.stateroot().join(LOST)).context("moving the deployment")
    }

    /// Takes libostree away from the deployment: its library, its programs but for the generator, which cannot be executed without the
    /// library, and its units, which are replaced by ours.
    pub fn take_libostree_away(&self) -> Result<()> {
        let deployment = self.deployment()?;
        let library = deployment.join("usr/lib/x86_64-linux-gnu");
        let entries = fs::read_dir(&library).with_context(|| format!("listing {}", library.display()))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libostree-1.so")));
        anyhow::ensure!(!paths.is_empty(), "there is no libostree in {}", library.display());
        paths.extend(["usr/bin/ostree", "usr/lib/ostree/ostree-remount"].map(|path| deployment.join(path)));
        for path in paths {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        for (name, text) in OWN_UNITS {
            // A new file: the old one is an object of the repository, too.
            let unit = deployment.join("usr/lib/systemd/system").join(name);
            fs::remove_file(&unit).with_context(|| format!("removing {}", unit.display()))?;
            fs::write(&unit, text).with_context(|| format!("writing {}", unit.display()))?;
        }
        Ok(())
    }

    /// The path of the physical root.
    pub(crate) fn path(&self) -> &Path {
        self.root
    }

    /// The only deployment.
    pub(crate) fn deployment(&self) -> Result<PathBuf> {
        let deployments = self.stateroot().join("deploy");
        let entries = fs::read_dir(&deployments).with_context(|| format!("listing {}", deployments.display()))?;
        let directory = entries.flatten().map(|entry| entry.path()).find(|path| path.is_dir());
        directory.with_context(|| format!("no deployment in {}", deployments.display()))
    }

    fn stateroot(&self) -> PathBuf {
        self.root.join("ostree/deploy").join(STATEROOT)
    }
}
