//! The system that a command looks at: the one that runs, or a disk of another one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::deployment::identity;
use ostree_sysroot::{Roots, booted, stateroots};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlace {
    #[error(
        "this is not a booted OSTree system (there is no /run/ostree-booted); for the disk of another system: firstroot {0} --root PATH"
    )]
    NotBooted(&'static str),
    #[error(
        "{0} has no OSTree system: there is neither {0}/ostree/deploy nor {0}/sysroot/ostree/deploy; mount its root filesystem there"
    )]
    NotOstree(String),
    #[error("{0} has no directory boot; mount the root filesystem of the system there, and its /boot at {0}/boot")]
    NoBoot(String),
    #[error("{0}{hint}", hint = hint(.0))]
    System(#[from] SystemError),
}

fn hint(error: &SystemError) -> &'static str {
    if matches!(error.reason, Errno::ACCESS | Errno::PERM) && !is_root() { ": run this as root" } else { "" }
}

/// Whether this process may read everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What to do where something could not be read.
pub(crate) fn as_root() -> String {
    if is_root() { "check the disk: journalctl -k".to_owned() } else { "run this as root".to_owned() }
}

/// A system.
#[derive(Debug)]
pub(crate) struct Place {
    /// The root of the system: `/` if it runs.
    pub(crate) root: PathBuf,
    /// The path of its physical root.
    pub(crate) physical: PathBuf,
    /// Its directories.
    pub(crate) roots: Roots,
    /// It was booted, and is not only a disk.
    pub(crate) runs: bool,
}

impl Place {
    /// Opens the running system, or the one whose root filesystem is mounted at `root`. `command` is for a message.
    pub(crate) fn open(root: Option<&Path>, command: &'static str) -> Result<Self, NoPlace> {
        let Some(root) = root else {
            let root = Path::new("/");
            if !booted::is_booted(root)? {
                return Err(NoPlace::NotBooted(command));
            }
            return Ok(Self::running(root)?);
        };
        let opened = dir::open_root(root).context("open", root.display())?;
        if has_deployments(&opened, "ostree/deploy")? {
            return Self::disk(root);
        }
        if !has_deployments(&opened, "sysroot/ostree/deploy")? {
            return Err(NoPlace::NotOstree(root.display().to_string()));
        }
        let runs = booted::is_booted(root)?;
        Ok(Self { runs, ..Self::running(root)? })
    }

    /// The booted deployment of a system that runs, whether the boot menu has it or not.
    pub(crate) fn booted(&self) -> Result<DeploymentPath, String> {
        let roots = &self.roots;
        let booted = booted::booted_identity(roots).map_err(|error| error.to_string())?;
        for path in stateroots::all_deployments(roots.sysroot.as_fd()).map_err(|error| error.to_string())? {
            if identity(roots, &path).map_err(|error| error.to_string())? == Some(booted) {
                return Ok(path);
            }
        }
        Err("the booted deployment has no directory any more".to_owned())
    }

    /// The system whose root is the directory `root`.
    fn running(root: &Path) -> Result<Self, SystemError> {
        let (root, physical) = (root.to_owned(), root.join("sysroot"));
        Ok(Self { roots: Roots::at(&root)?, root, physical, runs: true })
    }

    /// The system whose physical root is the directory `root`.
    fn disk(root: &Path) -> Result<Self, NoPlace> {
        let system = dir::open_root(root).context("open", root.display())?;
        let open = |path: &str| dir::open(&system, path, OFlags::RDONLY | OFlags::DIRECTORY);
        let open_boot = || match open("boot") {
            Err(Errno::NOENT | Errno::NOTDIR) => Err(NoPlace::NoBoot(root.display().to_string())),
            other => Ok(other.context("open", root.join("boot").display())?),
        };
        let sysroot = open(".").context("open", root.display())?;
        let (boot, mounted_boot) = (open_boot()?, open_boot()?);
        let device = |directory: &OwnedFd| dir::stat_fd(directory).map(|stat| stat.device);
        let boot_is_separate =
            device(&boot).and_then(|boot| Ok(boot != device(&sysroot)?)).context("read the attributes of", "boot")?;
        let roots = Roots { system, sysroot, boot, boot_is_separate, mounted_boot, outer_boot: None };
        Ok(Self { root: root.to_owned(), physical: root.to_owned(), roots, runs: false })
    }
}

fn has_deployments(root: &OwnedFd, path: &str) -> Result<bool, SystemError> {
    let found = dir::if_there(dir::open_directory(root, path)).context("open", path)?;
    Ok(found.is_some())
}
