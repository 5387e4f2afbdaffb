//! What is on the disk: the current bootversion, its boot loader entries, and the deployments that they lead to. Only reads.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::bls::BlsEntry;
use ostree_formats::booted_state::BootedState;
use ostree_formats::bootlink::{BootVersion, Bootcsum, Bootlink};
use ostree_formats::commit::Commit;
use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::origin;
use ostree_formats::os_release::OsRelease;
use ostree_formats::repo_config::RepoConfig;
use ostree_formats::version_order::strverscmp;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::cleanup::Current;
use crate::deployment_list::Listed;
use crate::error::Error;
use crate::kernel_layout::{self, KernelLayout};
use crate::roots::{Roots, read_if_there};

/// `/run/ostree-booted`, which says what this system was booted from.
const BOOTED: &str = "/run/ostree-booted";

/// Entries are a few lines; one of ours that is larger than this is no entry.
const ENTRY_LIMIT: u64 = 1 << 16;
/// Entries of others are kept, whatever they are, up to this.
const FOREIGN_LIMIT: u64 = 16 << 20;
const CONFIG_LIMIT: u64 = 1 << 20;
const COMMIT_LIMIT: u64 = 128 << 20;

/// A deployment, with what its boot loader entry needs.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    /// Where it is.
    pub(crate) path: DeploymentPath,
    /// Of its kernel.
    pub(crate) bootcsum: Bootcsum,
    /// Its entry as it is, or of a new one the keys that it has besides ours.
    pub(crate) entry: BlsEntry,
    /// `None`: it has no entry yet.
    pub(crate) entry_name: Option<EntryName>,
    /// Its kernel arguments.
    pub(crate) kargs: KernelArguments,
    /// Initramfs that are loaded after its own.
    pub(crate) overlay_initrds: Vec<Checksum>,
    /// Kept until somebody says otherwise.
    pub(crate) pinned: bool,
    /// The commit's `version`; lost with a commit object that cannot be read.
    pub(crate) version: Option<String>,
    /// What the menu calls it.
    pub(crate) title: Option<String>,
    /// What it boots with.
    pub(crate) kernel: KernelLayout,
}

/// A file beside the entries that are ours, or beside the directory of entries: it is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Relative to `loader.N`.
    pub(crate) path: String,
    /// Its content.
    pub(crate) content: Vec<u8>,
}

/// The sysroot before finalization.
#[derive(Debug)]
pub(crate) struct Sysroot {
    /// Of `boot/loader` and `ostree/boot.N`.
    pub(crate) bootversion: BootVersion,
    /// Of `ostree/boot.N.S`.
    pub(crate) subbootversion: BootVersion,
    /// In the order of the menu, the default first.
    pub(crate) deployments: Vec<Deployment>,
    /// Which of them runs.
    pub(crate) booted: DeploymentPath,
    /// What others put into `loader.N`.
    pub(crate) foreign: Vec<Foreign>,
    /// The repository's configuration.
    pub(crate) config: RepoConfig,
    /// Whether new entries are named as before libostree 2024.5, with the stateroot: `bootloader-naming-1` in
    /// `$OSTREE_SYSROOT_OPTS`.
    pub(crate) names_have_stateroot: bool,
    /// Whether an entry leads nowhere: what it is about is in no list, and may be there all the same.
    pub(crate) is_incomplete: bool,
    /// What was passed over.
    pub(crate) warnings: Vec<String>,
}

impl Sysroot {
    /// Reads all of it.
    pub(crate) fn load(roots: &Roots) -> Result<Self, Error> {
        let config = read_if_there(&roots.sysroot, &"", "ostree/repo/config", CONFIG_LIMIT)?;
        let config = RepoConfig::parse(&config.unwrap_or_default())?;
        let bootversion = version_link(&roots.boot, "loader", "/boot/loader", "loader")?;
        let links = format!("boot.{bootversion}");
        let subbootversion =
            version_link(&roots.sysroot, &format!("ostree/{links}"), &format!("/ostree/{links}"), &links)?;
        let mut loader = Loader {
            roots,
            bootversion,
            deployments: Vec::new(),
            foreign: Vec::new(),
            is_incomplete: false,
            warnings: Vec::new(),
        };
        loader.read()?;
        let Loader { mut deployments, foreign, is_incomplete, warnings, .. } = loader;
        deployments.sort_by(|one, other| {
            let version = |deployment: &Deployment| deployment.entry.get("version").unwrap_or_default().to_owned();
            strverscmp(&version(other), &version(one))
        });
        let identity = booted_identity()?;
        let booted = deployments.iter().find(|deployment| identity_of(roots, &deployment.path) == Some(identity));
        let booted = booted.map(|deployment| deployment.path.clone());
        let booted = booted.ok_or_else(|| Error::BootedNotListed { links: format!("ostree/boot.{bootversion}") })?;
        let options = std::env::var("OSTREE_SYSROOT_OPTS").unwrap_or_default();
        let names_have_stateroot =
            options.split([',', ';', ':', ' ', '\t']).any(|option| option == "bootloader-naming-1");
        Ok(Self {
            bootversion,
            subbootversion,
            deployments,
            booted,
            foreign,
            config,
            names_have_stateroot,
            is_incomplete,
            warnings,
        })
    }

    /// What is current with this list, which is written for a bootversion and subbootversion.
    pub(crate) fn current(&self, bootversion: BootVersion, subbootversion: BootVersion, list: Vec<Listed>) -> Current {
        Current { bootversion, subbootversion, list, is_incomplete: self.is_incomplete, next_root: next_root() }
    }

    /// The deployment at a path, if it is in the list.
    pub(crate) fn find(&self, path: &DeploymentPath) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.path == *path)
    }

    /// In one line what is in the list, to see later whether it has changed.
    pub(crate) fn fingerprint(&self) -> String {
        let paths: Vec<String> = self.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
        format!("{}.{} {}", self.bootversion, self.subbootversion, paths.join(" "))
    }
}

/// Whether this system was booted from a deployment at all.
pub(crate) fn is_booted() -> bool {
    std::path::Path::new(BOOTED).exists()
}

/// Device and inode of the deployment that a prepared soft reboot has mounted, if there is one.
pub(crate) fn next_root() -> Option<(u64, u64)> {
    let run = dir::open_root(std::path::Path::new("/run/ostree")).ok()?;
    let state = BootedState::from_bytes(&dir::read(run, "nextroot-booted", CONFIG_LIMIT).ok()?).ok()?;
    Some((state.device, state.inode))
}

/// Device and inode of the booted deployment's directory.
fn booted_identity() -> Result<(u64, u64), Error> {
    let root = dir::open_root(std::path::Path::new("/")).context("open", "/")?;
    match read_if_there(&root, &"", BOOTED.trim_start_matches('/'), CONFIG_LIMIT)?
        .map(|bytes| BootedState::from_bytes(&bytes))
    {
        Some(Ok(state)) => Ok((state.device, state.inode)),
        // Versions of libostree that wrote nothing into it mounted the deployment itself at `/`.
        Some(Err(_)) => {
            let stat = dir::stat_fd(&root).context("look at", "/")?;
            Ok((stat.device, stat.inode))
        }
        None => Err(Error::NotBooted),
    }
}

/// Whether this system was booted from the deployment at `path`.
pub(crate) fn is_the_booted_one(roots: &Roots, path: &DeploymentPath) -> bool {
    booted_identity().is_ok_and(|booted| identity_of(roots, path) == Some(booted))
}

pub(crate) fn identity_of(roots: &Roots, path: &DeploymentPath) -> Option<(u64, u64)> {
    let directory = dir::open_directory(&roots.sysroot, path.to_string()).ok()?;
    let stat = dir::stat_fd(directory).ok()?;
    Some((stat.device, stat.inode))
}

/// Opens a deployment's directory.
pub(crate) fn open_deployment(roots: &Roots, path: &DeploymentPath) -> Result<OwnedFd, SystemError> {
    dir::open(&roots.sysroot, path.to_string(), OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{path}"))
}

/// A link `path` in `root`, which is `shown`, and whose target is `name.0` or `name.1`.
fn version_link(root: impl AsFd, path: &str, shown: &str, name: &str) -> Result<BootVersion, Error> {
    let (zero, one) = (format!("{name}.0"), format!("{name}.1"));
    let found = match dir::read_link(&root, path) {
        Ok(target) if target == zero => return Ok(BootVersion::Zero),
        Ok(target) if target == one => return Ok(BootVersion::One),
        Ok(target) => format!("leads to {target:?}"),
        Err(Errno::INVAL) => "is no link".to_owned(),
        Err(Errno::NOENT) => "is not there".to_owned(),
        Err(error) => return Err(error).context("read the link", shown)?,
    };
    Err(Error::VersionLink { link: shown.to_owned(), found, wanted: format!("{zero} or {one}") })
}

struct Loader<'a> {
    roots: &'a Roots,
    bootversion: BootVersion,
    deployments: Vec<Deployment>,
    foreign: Vec<Foreign>,
    is_incomplete: bool,
    warnings: Vec<String>,
}

impl Loader<'_> {
    fn read(&mut self) -> Result<(), Error> {
        let directory = format!("loader.{}", self.bootversion);
        self.read_directory(&directory, "")?;
        self.read_directory(&format!("{directory}/entries"), "entries/")
    }

    fn read_directory(&mut self, directory: &str, prefix: &str) -> Result<(), Error> {
        let shown = format!("/boot/{directory}");
        let opened =
            dir::open(&self.roots.boot, directory, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
        for (name, kind) in tree::entries(&opened).context("list", &shown)? {
            let path = format!("{shown}/{}", String::from_utf8_lossy(&name));
            let Ok(name) = String::from_utf8(name) else {
                self.warnings.push(format!("{path}: its name is not UTF-8; it is not kept"));
                continue;
            };
            if kind != Kind::File {
                if !(prefix.is_empty() && name == "entries") {
                    self.warnings.push(format!("{path} is no regular file; it is not kept"));
                }
                continue;
            }
            let entry_name = if prefix.is_empty() { None } else { name_of_ours(&name) };
            let limit = if entry_name.is_some() { ENTRY_LIMIT } else { FOREIGN_LIMIT };
            let content = dir::read_no_link(&opened, &name, limit).context("read", &path)?;
            let ours = match entry_name {
                Some(entry_name) => self.ours(entry_name, &content, &path)?,
                None => Ours::No,
            };
            match ours {
                Ours::Listed(deployment) => self.deployments.push(*deployment),
                Ours::Gone => {}
                Ours::No => self.foreign.push(Foreign { path: format!("{prefix}{name}"), content }),
            }
        }
        Ok(())
    }

    fn ours(&mut self, entry_name: EntryName, content: &[u8], shown: &str) -> Result<Ours, Error> {
        let entry = BlsEntry::parse(content).map_err(|reason| Error::Entry { path: shown.to_owned(), reason })?;
        let kargs = KernelArguments::parse(entry.get("options").unwrap_or_default());
        let Some(link) = kargs.get("ostree").and_then(|link| link.parse::<Bootlink>().ok()) else {
            // Another system's, or somebody's own.
            return Ok(Ours::No);
        };
        let Some(path) = self.follow(&link)? else {
            self.warnings.push(format!("{shown} is dropped: its boot link /{link} leads to no deployment"));
            self.is_incomplete = true;
            return Ok(Ours::Gone);
        };
        let overlay_initrds = entry.values("initrd").filter_map(overlay_initrd).collect();
        let deployment = read(self.roots, path, link.bootcsum, &mut self.warnings)?;
        let entry_name = Some(entry_name);
        Ok(Ours::Listed(Box::new(Deployment { entry, entry_name, kargs, overlay_initrds, ..deployment })))
    }

    /// The deployment that a boot link leads to.
    fn follow(&self, link: &Bootlink) -> Result<Option<DeploymentPath>, Error> {
        let parent = format!("ostree/boot.{}/{}/{}", link.bootversion, link.stateroot, link.bootcsum);
        let target = dir::open_directory(&self.roots.sysroot, &parent)
            .and_then(|parent| dir::read_link(parent, &link.bootserial.to_string()));
        let target = match target {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error).context("read the boot link", format_args!("/{link}"))?,
        };
        let path = target.strip_prefix("../../../").and_then(|rest| format!("ostree/{rest}").parse().ok());
        Ok(path.filter(|path: &DeploymentPath| identity_of(self.roots, path).is_some()))
    }
}

enum Ours {
    Listed(Box<Deployment>),
    Gone,
    No,
}

/// libostree takes every `ostree-….conf` for one of its own, whatever is in between: what it lists must not be taken for another's.
fn name_of_ours(name: &str) -> Option<EntryName> {
    let ours = name.starts_with("ostree-") && name.ends_with(".conf");
    ours.then(|| name.parse().unwrap_or(EntryName { number: 0, stateroot: None, tries: None }))
}

/// The checksum of an overlay, by its path in an entry.
fn overlay_initrd(path: &str) -> Option<Checksum> {
    path.rsplit_once("/ostree/initramfs-overlays/")?.1.strip_suffix(".img")?.parse().ok()
}

/// Reads what a deployment's directory, origin and commit say; its entry is the caller's.
pub(crate) fn read(
    roots: &Roots,
    path: DeploymentPath,
    bootcsum: Bootcsum,
    warnings: &mut Vec<String>,
) -> Result<Deployment, Error> {
    let directory = open_deployment(roots, &path)?;
    let kernel = kernel_layout::find(&directory, &path)?;
    let shown = format!("/{path}");
    let os_release = match read_if_there(&directory, &shown, "usr/lib/os-release", CONFIG_LIMIT)? {
        Some(bytes) => Some(bytes),
        None => read_if_there(&directory, &shown, "etc/os-release", CONFIG_LIMIT)?,
    };
    let os_release = OsRelease::parse(&String::from_utf8_lossy(&os_release.unwrap_or_default()));
    let origin_file = path.origin_file();
    let pinned = match read_if_there(&roots.sysroot, &"", &origin_file, CONFIG_LIMIT)? {
        Some(bytes) => {
            origin::is_pinned(&bytes).map_err(|reason| Error::Origin { path: format!("/{origin_file}"), reason })?
        }
        None => false,
    };
    let version = match commit_version(roots, &path.id.commit) {
        Ok(version) => version,
        Err(reason) => {
            warnings.push(format!(
                "the commit {} cannot be read: {reason}; its version is not in the title",
                path.id.commit
            ));
            None
        }
    };
    Ok(Deployment {
        title: os_release.title().map(str::to_owned),
        path,
        bootcsum,
        entry: BlsEntry::default(),
        entry_name: None,
        kargs: KernelArguments::parse(""),
        overlay_initrds: Vec::new(),
        pinned,
        version,
        kernel,
    })
}

fn commit_version(roots: &Roots, commit: &Checksum) -> Result<Option<String>, String> {
    let bytes = dir::read(&roots.sysroot, commit.object("commit"), COMMIT_LIMIT).map_err(|error| error.to_string())?;
    Commit::parse(&bytes).map(|commit| commit.version).map_err(|error| error.to_string())
}

/// Whether `name` is in `directory`, as what it is.
pub(crate) fn is_there(directory: impl AsFd, name: &str) -> bool {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
