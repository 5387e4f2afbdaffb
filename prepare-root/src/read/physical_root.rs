//! The physical root, held open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostree_sysroot::boot_links::{self, Followed, LookupError};
use rustix::io::Errno;
use system::proc::Proc;
use system::{Context, SystemError, dir};

/// Why it cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PhysicalRootError {
    /// There is no such directory.
    #[error("nothing is mounted at {0}, where the root filesystem should be")]
    NotMounted(String),
    #[error("{0}")]
    System(#[from] SystemError),
}

/// The root filesystem as the block device holds it.
#[derive(Debug)]
pub(crate) struct PhysicalRoot {
    directory: OwnedFd,
    /// Where it is, seen from this process's root; absolute, without links.
    pub(crate) at: PathBuf,
    pub(crate) proc: Proc,
}

impl AsFd for PhysicalRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl PhysicalRoot {
    /// Opens the directory `sysroot`.
    pub(crate) fn open(sysroot: &Path, proc: Proc) -> Result<Self, PhysicalRootError> {
        let directory = match dir::open_root(sysroot) {
            Err(Errno::NOENT | Errno::NOTDIR) => {
                return Err(PhysicalRootError::NotMounted(sysroot.display().to_string()));
            }
            other => other.context("open", sysroot.display())?,
        };
        let at = proc.path_of(&directory).context("find the path of", sysroot.display())?;
        Ok(Self { directory, at, proc })
    }

    /// Whether something is mounted exactly there.
    pub(crate) fn is_mounted(&self) -> Result<bool, SystemError> {
        Ok(dir::stat_fd(&self.directory).context("read the attributes of", self.at.display())?.mount_root)
    }

    /// Whether something is mounted at the directory `sysroot` in it, as in a prepared root.
    pub(crate) fn has_mount_at_sysroot(&self) -> Result<bool, SystemError> {
        self.is_mounted_on("sysroot")
    }

    /// Whether something is mounted at a name in it.
    pub(crate) fn is_mounted_on(&self, name: &str) -> Result<bool, SystemError> {
        let stat =
            dir::stat_name(&self.directory, name).context("read the attributes of", self.at.join(name).display())?;
        Ok(stat.is_some_and(|stat| stat.mount_root))
    }

    /// Whether it is the root of an OSTree system.
    pub(crate) fn has_ostree(&self) -> Result<bool, SystemError> {
        let opened = dir::if_there(dir::open_directory(&self.directory, "ostree")).context("open", "/ostree")?;
        Ok(opened.is_some())
    }

    /// Follows a boot link.
    pub(crate) fn follow(&self, path: &str) -> Result<Followed, LookupError> {
        boot_links::follow(self.as_fd(), path, &|directory| self.path_inside(directory))
    }

    /// Where an open file is on the physical root, without a leading slash.
    pub(crate) fn path_inside(&self, fd: impl AsFd) -> Result<String, Errno> {
        let path = self.proc.path_of(fd)?;
        let inside = path.strip_prefix(&self.at).map_err(|_| Errno::XDEV)?;
        Ok(inside.to_string_lossy().into_owned())
    }
}
