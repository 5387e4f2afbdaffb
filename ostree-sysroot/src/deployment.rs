//! A deployment with a boot loader entry: what the entry and the commit say of it, and what its tree has. Only reads.

use std::os::fd::OwnedFd;

use crate::kernel_layout::{self, KernelError, KernelLayout};
use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootcsum;
use ostree_formats::commit::Commit;
use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::origin;
use ostree_formats::os_release::OsRelease;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError};

use crate::error::SysrootError;
use crate::roots::{Roots, read_if_there};

const CONFIG_LIMIT: u64 = 1 << 20;
const COMMIT_LIMIT: u64 = 128 << 20;

/// A deployment, with what its boot loader entry needs.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where it is.
    pub path: DeploymentPath,
    /// Of its kernel.
    pub bootcsum: Bootcsum,
    /// Its entry as it is, or of a new one the keys that it has besides ours.
    pub entry: BlsEntry,
    /// `None`: it has no entry yet.
    pub entry_name: Option<EntryName>,
    /// Its kernel arguments.
    pub kargs: KernelArguments,
    /// Initramfs that are loaded after its own.
    pub overlay_initrds: Vec<Checksum>,
    /// The administrator has pinned it: no update removes it.
    pub pinned: bool,
    /// The commit's `version`; lost with a commit object that cannot be read.
    pub version: Option<String>,
    /// What its directory holds, once that has been read.
    pub tree: Tree,
}

/// What the directory of a deployment holds. A deployment that this update removes need not be whole, so it is read only of those that
/// stay.
#[derive(Debug, Clone)]
pub enum Tree {
    /// Nothing was read yet.
    NotRead,
    /// What an entry is made from.
    Read(Box<TreeFacts>),
    /// There is no kernel, or no name for the menu: the entry that the deployment has stays as it is.
    Damaged,
}

/// What an entry is made from.
#[derive(Debug, Clone)]
pub struct TreeFacts {
    /// The name in the menu.
    pub title: String,
    /// What it boots with.
    pub kernel: KernelLayout,
}

impl Deployment {
    /// What it boots with, if that has been read and is there.
    pub fn kernel(&self) -> Option<&KernelLayout> {
        match &self.tree {
            Tree::Read(facts) => Some(&facts.kernel),
            Tree::NotRead | Tree::Damaged => None,
        }
    }

    /// Paths of `initrd` lines that neither libostree nor we wrote: those before the deployment's initramfs, where the kernel looks
    /// for microcode, and those behind it.
    pub fn initrds_of_the_administrator(&self) -> (Vec<String>, Vec<String>) {
        let own = format!("/ostree/{}-{}/", self.path.stateroot, self.bootcsum);
        let lines: Vec<&str> = self.entry.values("initrd").collect();
        let first = lines.iter().position(|path| path.contains(&own)).unwrap_or(0);
        let (before, behind) = lines.split_at(first);
        let theirs = |lines: &[&str]| {
            let is_theirs = |path: &&&str| !path.contains(&own) && !path.contains("/ostree/initramfs-overlays/");
            lines.iter().filter(is_theirs).map(|path| (*path).to_owned()).collect()
        };
        (theirs(before), theirs(behind))
    }

    /// Reads what origin and commit say of the deployment at `path`; its entry and its tree are the caller's.
    pub fn read(
        roots: &Roots,
        path: DeploymentPath,
        bootcsum: Bootcsum,
        warnings: &mut Vec<String>,
    ) -> Result<Self, SysrootError> {
        let pinned = is_pinned(roots, &path)?;
        let version = commit_version(roots, &path.id.commit)?.unwrap_or_else(|reason| {
            let commit = &path.id.commit;
            warnings.push(format!(
                "the commit {commit} cannot be read: {reason}; the title of its entry will have no version"
            ));
            None
        });
        Ok(Self {
            path,
            bootcsum,
            entry: BlsEntry::default(),
            entry_name: None,
            kargs: KernelArguments::parse(""),
            overlay_initrds: Vec::new(),
            pinned,
            version,
            tree: Tree::NotRead,
        })
    }

    /// Reads what its tree has.
    ///
    /// A deployment that has no kernel, or no name for the menu, is an error here.
    pub fn read_tree(&mut self, roots: &Roots) -> Result<(), SysrootError> {
        let directory = open(roots, &self.path)?;
        let kernel = kernel_layout::find(&directory, &self.path, Some(&self.bootcsum))?;
        let shown = format!("/{}", self.path);
        let os_release = match read_if_there(&directory, &shown, "usr/lib/os-release", CONFIG_LIMIT)? {
            Some(bytes) => Some(bytes),
            None => read_if_there(&directory, &shown, "etc/os-release", CONFIG_LIMIT)?,
        };
        let os_release = OsRelease::parse(&String::from_utf8_lossy(&os_release.unwrap_or_default()));
        let title = os_release.title().ok_or_else(|| SysrootError::NoTitle(self.path.clone()))?.to_owned();
        self.tree = Tree::Read(Box::new(TreeFacts { title, kernel }));
        Ok(())
    }

    /// The same of a deployment that has an entry already, and stays: if its tree is damaged, that is a warning, and the entry stays.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read_tree_of_one_that_stays(&mut self, roots: &Roots) -> Result<Option<String>, SysrootError> {
        match self.read_tree(roots) {
            Err(SysrootError::Kernel(KernelError::System(error))) => Err(error.into()),
            Err(error @ (SysrootError::Kernel(_) | SysrootError::NoTitle(_))) => {
                self.tree = Tree::Damaged;
                Ok(Some(format!("{error}: its boot loader entry is kept unchanged and may not boot")))
            }
            other => other.map(|()| None),
        }
    }
}

/// Whether the origin of a deployment says that the administrator has pinned it.
pub fn is_pinned(roots: &Roots, path: &DeploymentPath) -> Result<bool, SysrootError> {
    let file = path.origin_file();
    let Some(bytes) = read_if_there(&roots.sysroot, &"", &file, CONFIG_LIMIT)? else { return Ok(false) };
    origin::is_pinned(&bytes).map_err(|reason| SysrootError::Origin { path: format!("/{file}"), reason })
}

/// The version in a commit, or what is wrong with a commit that is missing or damaged.
fn commit_version(roots: &Roots, commit: &Checksum) -> Result<Result<Option<String>, String>, SystemError> {
    let path = commit.object("commit");
    match dir::read(&roots.sysroot, &path, COMMIT_LIMIT) {
        Ok(bytes) => Ok(Commit::parse(&bytes).map(|commit| commit.version).map_err(|error| error.to_string())),
        Err(error @ (Errno::NOENT | Errno::FBIG | Errno::ISDIR | Errno::INVAL)) => Ok(Err(error.to_string())),
        Err(error) => Err(error).context("read", format_args!("/{path}")),
    }
}

/// Opens a deployment's directory.
pub fn open(roots: &Roots, path: &DeploymentPath) -> Result<OwnedFd, SystemError> {
    dir::open(&roots.sysroot, path.to_string(), OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{path}"))
}

/// Device and inode of a deployment's directory; `None`: it is not there.
pub fn identity(roots: &Roots, path: &DeploymentPath) -> Result<Option<(u64, u64)>, SystemError> {
    let stat = match dir::open_directory(&roots.sysroot, path.to_string()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.and_then(dir::stat_fd).context("look at", format_args!("/{path}"))?,
    };
    Ok(Some((stat.device, stat.inode)))
}
