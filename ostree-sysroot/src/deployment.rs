//! A deployment with a boot loader entry: data of the entry, the origin, the commit and the tree. Only reads.

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
use ostree_formats::unified_kernel::UnifiedKernel;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError};

use crate::error::SysrootError;
use crate::roots::{Roots, read_if_there};

const CONFIG_LIMIT: u64 = 1 << 20;
const COMMIT_LIMIT: u64 = 128 << 20;

/// A deployment, with the data that its boot loader entry needs.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where it is.
    pub path: DeploymentPath,
    /// The checksum of its kernel.
    pub bootcsum: Bootcsum,
    /// Its current entry; for a new deployment, only the keys that libostree does not write itself.
    pub entry: BlsEntry,
    /// `None`: it has no entry yet.
    pub entry_name: Option<EntryName>,
    /// Its kernel arguments.
    pub kargs: KernelArguments,
    /// Initrds that are loaded after its initramfs.
    pub overlay_initrds: Vec<Checksum>,
    /// The administrator has pinned it: no update removes it.
    pub pinned: bool,
    /// The commit's `version`; `None` if it has none, or the commit object cannot be read.
    pub version: Option<String>,
    /// The content of its directory, after it was read.
    pub tree: Tree,
}

/// The content of a deployment's directory. It is read only for deployments that stay: one that the update removes may be damaged.
#[derive(Debug, Clone)]
pub enum Tree {
    /// It was not read yet.
    NotRead,
    /// The data that an entry is made from.
    Read(Box<TreeFacts>),
    /// It has no kernel, or no name for the menu. The deployment's entry is kept unchanged.
    Damaged,
}

/// The data of a tree that an entry is made from.
#[derive(Debug, Clone)]
pub struct TreeFacts {
    /// The name in the menu.
    pub title: String,
    /// Kernel, initramfs and their files.
    pub kernel: KernelLayout,
    /// The kernel is an image with an initramfs in it.
    pub unified: Option<UnifiedKernel>,
}

impl Deployment {
    /// Kernel, initramfs and their files, if the tree was read and is not damaged.
    pub fn kernel(&self) -> Option<&KernelLayout> {
        match &self.tree {
            Tree::Read(facts) => Some(&facts.kernel),
            Tree::NotRead | Tree::Damaged => None,
        }
    }

    /// Whether its kernel has an initramfs, a file or in its image; `None`: the tree is damaged, or was not read.
    pub fn has_initramfs(&self) -> Option<bool> {
        match &self.tree {
            Tree::Read(facts) => Some(facts.kernel.initramfs.is_some() || facts.unified.is_some()),
            Tree::NotRead | Tree::Damaged => None,
        }
    }

    /// Its kernel, if that is an image with an initramfs in it, and the tree was read.
    pub fn unified_kernel(&self) -> Option<UnifiedKernel> {
        match &self.tree {
            Tree::Read(facts) => facts.unified,
            Tree::NotRead | Tree::Damaged => None,
        }
    }

    /// Paths of `initrd` lines that neither libostree nor firstroot wrote: those before the deployment's initramfs, where the
    /// kernel looks for microcode, and those after it.
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

    /// Reads origin and commit of the deployment at `path`. The caller adds entry and tree.
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

    /// Reads its tree.
    ///
    /// # Errors
    /// A file cannot be read, or the deployment has no kernel or no name for the menu.
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
        let unified = match kernel.initramfs {
            Some(_) => None,
            None => kernel_layout::unified(&directory, &kernel).context("read the kernel in", &shown)?,
        };
        self.tree = Tree::Read(Box::new(TreeFacts { title, kernel, unified }));
        Ok(())
    }

    /// The same for a deployment that has an entry and stays. If its tree is damaged, it returns a warning, and the entry is kept.
    ///
    /// # Errors
    /// A file cannot be read.
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

/// Whether the administrator has pinned a deployment, according to its origin.
pub fn is_pinned(roots: &Roots, path: &DeploymentPath) -> Result<bool, SysrootError> {
    let file = path.origin_file();
    let Some(bytes) = read_if_there(&roots.sysroot, &"", &file, CONFIG_LIMIT)? else { return Ok(false) };
    origin::is_pinned(&bytes).map_err(|reason| SysrootError::Origin { path: format!("/{file}"), reason })
}

/// The version of a commit, or the reason if the commit is missing or damaged.
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

/// Device and inode of a deployment's directory; `None` if it does not exist.
pub fn identity(roots: &Roots, path: &DeploymentPath) -> Result<Option<(u64, u64)>, SystemError> {
    let stat = match dir::open_directory(&roots.sysroot, path.to_string()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.and_then(dir::stat_fd).context("read the attributes of", format_args!("/{path}"))?,
    };
    Ok(Some((stat.device, stat.inode)))
}
