//! The physical root, held open, and the facts that are looked up in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostree_formats::cmdline::{Asked, BootTarget};
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use ostree_formats::repo_config;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::proc::Proc;
use system::{Context, SystemError, block_device, mount};

use crate::facts::{DeploymentFacts, Facts, Found, ImageFacts, SignatureFacts, Situation};
use crate::failure::Cause;
use crate::fstab;
use crate::lookup::Deployment;

/// A file that asks for `/var` to be mounted in the initramfs.
const VAR_MARKER: &str = "/run/ostree/initramfs-mount-var";

pub(crate) const REPO_CONFIG: &str = "ostree/repo/config";
/// A repository's configuration is a few lines, and so is a table of filesystems.
pub(crate) const REPO_CONFIG_LIMIT: u64 = 1 << 20;

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
    pub(crate) fn open(sysroot: &Path, proc: Proc) -> Result<Self, Cause> {
        let directory = match dir::open_root(sysroot) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(Cause::NotMounted(sysroot.display().to_string())),
            other => other.context("open", sysroot.display())?,
        };
        let at = proc.path_of(&directory).context("find the path of", sysroot.display())?;
        Ok(Self { directory, at, proc })
    }

    /// Whether something is mounted exactly there.
    pub(crate) fn is_mounted(&self) -> Result<bool, SystemError> {
        Ok(dir::stat_fd(&self.directory).context("look at", self.at.display())?.mount_root)
    }

    /// Whether something is mounted at the directory `sysroot` in it, as in a root that is prepared already.
    pub(crate) fn has_mount_at_sysroot(&self) -> Result<bool, SystemError> {
        self.is_mounted_on("sysroot")
    }

    fn is_mounted_on(&self, name: &str) -> Result<bool, SystemError> {
        let stat = dir::stat_name(&self.directory, name).context("look at", self.at.join(name).display())?;
        Ok(stat.is_some_and(|stat| stat.mount_root))
    }

    /// Whether it is one of an OSTree system at all.
    pub(crate) fn has_ostree(&self) -> Result<bool, SystemError> {
        let opened = dir::if_there(dir::open_directory(&self.directory, "ostree")).context("open", "/ostree")?;
        Ok(opened.is_some())
    }

    /// Where an open file is on the physical root, without a leading slash.
    pub(crate) fn path_inside(&self, fd: impl AsFd) -> Result<String, Errno> {
        let path = self.proc.path_of(fd)?;
        let inside = path.strip_prefix(&self.at).map_err(|_| Errno::XDEV)?;
        Ok(inside.to_string_lossy().into_owned())
    }

    /// Everything that the plan depends on, before anything is mounted over it.
    pub(crate) fn facts(
        &self,
        situation: Situation,
        deployment: &Deployment,
        conf: &PrepareRootConf,
        composefs: ComposefsMode,
        (image, signature): (ImageFacts, Option<SignatureFacts>),
        asked_for: &BootTarget,
    ) -> Result<Facts, SystemError> {
        let sysroot = self.at.display().to_string();
        // What is bound is the directory that a link stands for.
        let stateroot_var = self.found_at_end(&deployment.path.stateroot_var(), OFlags::empty())?;
        // With an image it does not count, and nothing of a disk that is to be verified is read for nothing.
        let ask_repository = conf.sysroot_readonly != Some(true) && composefs <= ComposefsMode::Maybe;
        let repo = if ask_repository { self.repository_is_read_only()? } else { RepoReadonly::default() };
        Ok(Facts {
            situation,
            sysroot_read_only: mount::is_read_only(&self.directory).context("look at", &sysroot)?,
            boot_loader_link: self.found("boot/loader")? == Found::Link,
            repo_readonly: repo.on,
            repo_problem: repo.problem,
            var_marker: dir::exists(VAR_MARKER).context("look for", VAR_MARKER)?,
            var_mounted_later: self.generator_mounts_var(asked_for, &deployment.path)?
                || fstab_mounts_var(deployment, conf.etc_transient)?,
            stateroot_var,
            dev_mounted: situation == Situation::Pid1 && self.is_mounted_on("dev")?,
            disk: if image.found == Found::File { disk(&self.directory)? } else { None },
            image,
            signature,
            deployment: deployment_facts(situation, deployment, conf.etc_transient)
                .context("look at", format_args!("/{}", deployment.path))?,
            sysroot,
        })
    }

    /// Whether libostree's generator will find the stateroot of this deployment. It knows only the kernel command line: where
    /// that chooses an Android slot it reads the slot's link, and wants `deploy/STATEROOT/…` in it.
    fn generator_mounts_var(&self, asked_for: &BootTarget, deployment: &DeploymentPath) -> Result<bool, SystemError> {
        if asked_for.asked == Asked::Ostree {
            return Ok(true);
        }
        let link = dir::if_there(dir::open(&self.directory, &asked_for.path, OFlags::PATH | OFlags::NOFOLLOW));
        let target = link.and_then(|link| link.map(|link| dir::read_link(link, "")).transpose());
        let target = target.context("read the link", &asked_for.path)?;
        Ok(target.is_some_and(|target| target.starts_with(&format!("deploy/{}/", deployment.stateroot))))
    }

    /// What is at a path on the physical root; a link at its end is not followed.
    fn found(&self, path: &str) -> Result<Found, SystemError> {
        self.found_at_end(path, OFlags::NOFOLLOW)
    }

    fn found_at_end(&self, path: &str, flags: OFlags) -> Result<Found, SystemError> {
        let stat = stat_inside(&self.directory, path, flags).context("look at", format_args!("/{path}"))?;
        Ok(found(stat))
    }

    /// The old place of `[sysroot] readonly`; a file that is not there says nothing.
    fn repository_is_read_only(&self) -> Result<RepoReadonly, SystemError> {
        match dir::read(&self.directory, REPO_CONFIG, REPO_CONFIG_LIMIT) {
            Ok(bytes) => Ok(match repo_config::sysroot_readonly(&bytes) {
                Ok(on) => RepoReadonly { on, problem: None },
                Err(error) => RepoReadonly { problem: Some(error.to_string()), ..RepoReadonly::default() },
            }),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR | Errno::INVAL | Errno::FBIG) => {
                Ok(RepoReadonly::default())
            }
            Err(error) => Err(error).context("read", format_args!("/{REPO_CONFIG}")),
        }
    }
}

/// What the repository's configuration says of `/sysroot`.
#[derive(Debug, Default)]
struct RepoReadonly {
    on: bool,
    /// Why that cannot be told.
    problem: Option<String>,
}

/// Whether the `/etc/fstab` that the system will have mounts `/var`.
fn fstab_mounts_var(deployment: &Deployment, transient_etc: bool) -> Result<bool, SystemError> {
    let path = if transient_etc { "usr/etc/fstab" } else { "etc/fstab" };
    match dir::read(&deployment.directory, path, REPO_CONFIG_LIMIT) {
        Ok(bytes) => Ok(fstab::mounts_var(&bytes)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR | Errno::INVAL | Errno::FBIG) => Ok(false),
        Err(error) => Err(error).context("read", format_args!("/{}/{path}", deployment.path)),
    }
}

fn deployment_facts(
    situation: Situation,
    Deployment { path, directory, .. }: &Deployment,
    transient_etc: bool,
) -> Result<DeploymentFacts, Errno> {
    let stat = dir::stat_fd(directory)?;
    let name = |name: &str| dir::stat_name(directory, name).map(found);
    let only_if = |wanted: bool, thing: &str| if wanted { name(thing) } else { Ok(Found::Nothing) };
    let pid1 = situation == Situation::Pid1;
    let hotfix_work = name(".usr-ovl-work")?;
    Ok(DeploymentFacts {
        path: path.clone(),
        device: stat.device,
        inode: stat.inode,
        usr: name("usr")?,
        etc: name("etc")?,
        sysroot: name("sysroot")?,
        var: name("var")?,
        boot: name("boot")?,
        usr_etc: if transient_etc {
            found(stat_inside(directory, "usr/etc", OFlags::NOFOLLOW)?)
        } else {
            Found::Nothing
        },
        dev: only_if(pid1, "dev")?,
        run: only_if(pid1, "run")?,
        init: pid1 && is_program(directory, "sbin/init")?,
        hotfix_work,
        hotfix_upper: only_if(hotfix_work != Found::Nothing, ".usr-ovl-upper")?,
    })
}

fn is_program(root: impl AsFd, path: &str) -> Result<bool, Errno> {
    let stat = stat_inside(root, path, OFlags::empty())?;
    Ok(stat.is_some_and(|stat| stat.kind == Kind::File && stat.mode & 0o111 != 0))
}

fn stat_inside(root: impl AsFd, path: &str, flags: OFlags) -> Result<Option<Stat>, Errno> {
    let Some(opened) = dir::if_there(dir::open(root, path, OFlags::PATH | flags))? else { return Ok(None) };
    let stat = dir::stat_fd(&opened);
    dir::leave_open(opened);
    stat.map(Some)
}

fn found(stat: Option<Stat>) -> Found {
    stat.map_or(Found::Nothing, |stat| Found::from(stat.kind))
}

impl From<Kind> for Found {
    fn from(kind: Kind) -> Found {
        match kind {
            Kind::Directory => Found::Directory,
            Kind::File => Found::File,
            Kind::Link => Found::Link,
            Kind::Other => Found::Other,
        }
    }
}

/// The device of systemd's own choice, where it chose; else the one that the filesystem is on.
fn disk(physical: &OwnedFd) -> Result<Option<u64>, SystemError> {
    const CHOSEN: &str = "/dev/gpt-auto-root";
    if let Some(device) = block_device::at(CHOSEN).context("look at", CHOSEN)? {
        return Ok(Some(device));
    }
    match block_device::of_filesystem(physical) {
        // Whoever only looks may not ask btrfs, or the device has no name in this initramfs.
        Err(Errno::PERM | Errno::ACCESS | Errno::NOENT) => Ok(None),
        other => other.context("find the device of", "the physical root"),
    }
}
