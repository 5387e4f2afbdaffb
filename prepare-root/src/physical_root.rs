//! The physical root, held open, and the facts that are looked up in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use ostree_formats::repo_config;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::proc::Proc;
use system::{Context, SystemError, block_device, mount};

use crate::facts::{DeploymentFacts, Facts, Found, ImageFacts, SignatureFacts, Situation};
use crate::failure::Cause;
use crate::lookup::Deployment;

/// A repository's configuration is a few lines.
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
    pub(crate) fn is_mounted(&self) -> bool {
        dir::stat_fd(&self.directory).is_ok_and(|stat| stat.mount_root)
    }

    /// Whether something is mounted at the directory `sysroot` in it, as in a root that is prepared already.
    pub(crate) fn has_mount_at_sysroot(&self) -> bool {
        matches!(dir::stat_name(&self.directory, "sysroot"), Ok(Some(Stat { mount_root: true, .. })))
    }

    /// Whether it is one of an OSTree system at all.
    pub(crate) fn has_ostree(&self) -> bool {
        dir::open_directory(&self.directory, "ostree").is_ok()
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
        image: ImageFacts,
        signature: Option<SignatureFacts>,
    ) -> Result<Facts, SystemError> {
        let sysroot = self.at.display().to_string();
        // What is bound is the directory that a link stands for.
        let stateroot_var = self.found_at_end(&deployment.path.stateroot_var(), OFlags::empty());
        Ok(Facts {
            situation,
            sysroot_read_only: mount::is_read_only(&self.directory).context("look at", &sysroot)?,
            boot_loader_link: self.found("boot/loader") == Found::Link,
            // With an image it does not count, and nothing of a disk that is to be verified is read for nothing.
            repo_readonly: conf.sysroot_readonly != Some(true)
                && composefs <= ComposefsMode::Maybe
                && dir::read(&self.directory, "ostree/repo/config", REPO_CONFIG_LIMIT)
                    .is_ok_and(|bytes| repo_config::sysroot_readonly(&bytes)),
            var_marker: rustix::fs::access("/run/ostree/initramfs-mount-var", rustix::fs::Access::EXISTS).is_ok(),
            stateroot_var,
            dev_mounted: situation == Situation::Pid1
                && matches!(dir::stat_name(&self.directory, "dev"), Ok(Some(Stat { mount_root: true, .. }))),
            disk: if image.found == Found::File { disk(&self.directory) } else { None },
            image,
            signature,
            deployment: deployment_facts(situation, deployment, conf.etc_transient)
                .context("look at", format_args!("/{}", deployment.path))?,
            sysroot,
        })
    }

    /// What is at a path on the physical root; a link at its end is not followed.
    fn found(&self, path: &str) -> Found {
        self.found_at_end(path, OFlags::NOFOLLOW)
    }

    fn found_at_end(&self, path: &str, flags: OFlags) -> Found {
        let Ok(opened) = dir::open(&self.directory, path, OFlags::PATH | flags) else {
            return Found::Nothing;
        };
        let stat = dir::stat_fd(&opened);
        dir::leave_open(opened);
        found(stat.ok())
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
        usr_etc: if transient_etc { found(stat_inside(directory, "usr/etc")) } else { Found::Nothing },
        dev: only_if(pid1, "dev")?,
        run: only_if(pid1, "run")?,
        init: pid1 && is_program(directory, "sbin/init"),
        hotfix_work,
        hotfix_upper: only_if(hotfix_work != Found::Nothing, ".usr-ovl-upper")?,
    })
}

fn is_program(root: impl AsFd, path: &str) -> bool {
    let stat = dir::open(root, path, OFlags::PATH).and_then(dir::stat_fd);
    stat.is_ok_and(|stat| stat.kind == Kind::File && stat.mode & 0o111 != 0)
}

fn stat_inside(root: impl AsFd, path: &str) -> Option<Stat> {
    dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd).ok()
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
fn disk(physical: &OwnedFd) -> Option<u64> {
    block_device::at("/dev/gpt-auto-root").or_else(|| block_device::of_filesystem(physical).ok().flatten())
}
