//! From the path that the boot loader asked for to a deployment, inside the physical root and never outside it.

use std::os::fd::OwnedFd;

use ostree_formats::bootlink::{Bootcsum, Bootlink};
use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use ostree_sysroot::kernel_layout;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::verity;

use crate::composefs::IMAGE;
use crate::facts::{Found, Lack, Seal};
use crate::physical_root::PhysicalRoot;
use crate::recovery::Candidates;

/// Why the path does not lead to a deployment. Paths are as seen on the physical root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("there is no boot link {0}")]
    Missing(String),
    #[error("{path} should be a symbolic link to a deployment, and is {found}")]
    NotALink { path: String, found: &'static str },
    #[error("the boot link {path} leads to {target}, which does not exist")]
    Dangling { path: String, target: String },
    #[error("the boot link {0} leads into a loop of symbolic links")]
    Loop(String),
    #[error("the boot link {path} leads to {target}, which is not a directory")]
    NotADirectory { path: String, target: String },
    #[error(
        "the boot link {path} leads to {end}, which is not a deployment (/ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL)"
    )]
    NotADeployment { path: String, end: String },
    #[error("{path} cannot be looked up: {reason}")]
    Other { path: String, reason: Errno },
}

/// A deployment directory that was found.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) path: DeploymentPath,
    pub(crate) directory: OwnedFd,
    /// Its composefs image, if one may be wanted: what is looked at is what is mounted.
    pub(crate) image: Option<OwnedFd>,
}

impl Deployment {
    /// Opens the image; what is there.
    pub(crate) fn open_image(&mut self) -> Result<Found, Errno> {
        // Whatever else is there, neither a fifo nor a terminal holds up the boot.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let image = match dir::open(&self.directory, IMAGE, flags) {
            Ok(image) => image,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP) => return Ok(Found::Link),
            // A socket, or a device without a driver.
            Err(Errno::NXIO) => return Ok(Found::Other),
            Err(error) => return Err(error),
        };
        let found = Found::from(dir::stat_fd(&image)?.kind);
        self.image = (found == Found::File).then_some(image);
        Ok(found)
    }

    /// What guards the image that is open, if one is.
    pub(crate) fn seal_of_image(&self) -> Result<Seal, Errno> {
        let Some(image) = &self.image else { return Ok(Seal::Missing) };
        Ok(match verity::measure(image)? {
            verity::Seal::Sha256(digest) => Seal::Sha256(digest),
            verity::Seal::Other(algorithm) => Seal::Other(algorithm),
            verity::Seal::None => Seal::Missing,
            verity::Seal::Unsupported => Seal::Unsupported(match verity::lack() {
                verity::Lack::Kernel => Lack::Kernel,
                verity::Lack::Filesystem => Lack::Filesystem,
                verity::Lack::Unknown => Lack::Unknown,
            }),
        })
    }
}

/// Follows a boot link.
pub(crate) fn follow(physical: &PhysicalRoot, path: &str) -> Result<Deployment, LookupError> {
    // A slash at the end would follow the link that is to be looked at.
    let path = Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or("/");
    let directory = dir::open_directory(physical, path).map_err(|reason| explain(physical, path, reason))?;
    let end =
        physical.path_inside(&directory).map_err(|reason| LookupError::Other { path: path.to_owned(), reason })?;
    // What has another name at its end went through a link there.
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if name(&end) == name(path) || matches!(name(path).as_deref(), Some("." | "..")) {
        require_link(physical, path)?;
    }
    match end.parse() {
        Ok(path) => Ok(Deployment { path, directory, image: None }),
        Err(_) => Err(LookupError::NotADeployment { path: path.to_owned(), end: format!("/{end}") }),
    }
}

/// Why following `path` failed.
fn explain(physical: &PhysicalRoot, path: &str, reason: Errno) -> LookupError {
    let link = match require_link(physical, path) {
        Ok(link) => link,
        Err(error) => return error,
    };
    let path = path.to_owned();
    let target = match dir::read_link(&link, "") {
        Ok(target) => target,
        Err(reason) => return LookupError::Other { path, reason },
    };
    match reason {
        Errno::NOENT => LookupError::Dangling { path, target },
        Errno::NOTDIR => LookupError::NotADirectory { path, target },
        Errno::LOOP => LookupError::Loop(path),
        reason => LookupError::Other { path, reason },
    }
}

/// Opens the link at the end of `path`, which must be one.
fn require_link(physical: &PhysicalRoot, path: &str) -> Result<OwnedFd, LookupError> {
    let owned = || path.to_owned();
    let other = |reason| LookupError::Other { path: owned(), reason };
    let link = match dir::open(physical, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(link) => link,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(LookupError::Missing(owned())),
        Err(Errno::LOOP) => return Err(LookupError::Loop(owned())),
        Err(reason) => return Err(other(reason)),
    };
    let not_a_link = |found| Err(LookupError::NotALink { path: owned(), found });
    match dir::stat_fd(&link).map_err(other)?.kind {
        Kind::Link => Ok(link),
        Kind::Directory => not_a_link("a directory"),
        Kind::File => not_a_link("a file"),
        Kind::Other => not_a_link("a device, fifo or socket"),
    }
}

/// The deployments of one stateroot that exist as directories, in the order of their names.
///
/// # Errors
/// As `open(2)` and `getdents64(2)`, but for those that say that there are none.
pub(crate) fn deployments_of(physical: &PhysicalRoot, stateroot: &str) -> Result<Vec<DeploymentPath>, Errno> {
    let Ok(stateroot) = stateroot.parse::<ostree_formats::deployment::Stateroot>() else { return Ok(Vec::new()) };
    let names = dir::if_there(dir::names(physical, format!("ostree/deploy/{stateroot}/deploy")))?.unwrap_or_default();
    let ids = names.iter().filter_map(|name| name.parse::<DeploymentId>().ok());
    Ok(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }).collect())
}

/// What could stand in for a boot link that is missing.
///
/// # Errors
/// [`LookupError::Other`]: what there is cannot be told.
pub(crate) fn candidates(physical: &PhysicalRoot, link: &Bootlink) -> Result<Candidates, LookupError> {
    let other = |path: &str, reason| LookupError::Other { path: format!("/{path}"), reason };
    let exists = |directory: String| {
        let opened = dir::if_there(dir::open_directory(physical, &directory));
        opened.map(|opened| opened.is_some()).map_err(|reason| other(&directory, reason))
    };
    let under_other_bootversion = match follow(physical, &link.under_other_bootversion().to_string()) {
        Ok(deployment) => Some(deployment.path),
        Err(error @ LookupError::Other { .. }) => return Err(error),
        Err(_) => None,
    };
    let mut candidates = Candidates {
        link: link.clone(),
        with_that_kernel: Vec::new(),
        unknown: Vec::new(),
        under_other_bootversion,
        set_exists: exists(format!("ostree/boot.{}", link.bootversion))?,
        other_set_exists: exists(format!("ostree/boot.{}", link.bootversion.other()))?,
    };
    let stateroot = link.stateroot.as_str();
    let all = deployments_of(physical, stateroot);
    for path in all.map_err(|reason| other(&format!("ostree/deploy/{stateroot}/deploy"), reason))? {
        match could_be(physical, &path, &link.bootcsum) {
            Ok(true) => candidates.with_that_kernel.push(path),
            Ok(false) => {}
            Err(reason) => candidates.unknown.push((path, reason)),
        }
    }
    Ok(candidates)
}

/// Whether a deployment has that kernel and could be booted: one that is staged only has no `etc` yet.
fn could_be(physical: &PhysicalRoot, path: &DeploymentPath, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    // A file of such a name is none.
    let Some(directory) = dir::if_there(dir::open_directory(physical, path.to_string()))? else { return Ok(false) };
    for part in ["usr", "etc", "sysroot"] {
        if dir::stat_name(&directory, part)?.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
    }
    kernel_layout::has_bootcsum(&directory, bootcsum)
}
