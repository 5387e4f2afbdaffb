//! Reads everything that the plan depends on, once, before anything is mounted over it.

use std::os::fd::AsFd;

use ostree_formats::cmdline::{BootTarget, TargetSource};
use ostree_formats::deployment::{DeploymentPath, Stateroot};
use ostree_formats::fstab;
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use ostree_formats::repo_config;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::{Context, SystemError, block_device, mount};

use super::deployment::Deployment;
use super::physical_root::PhysicalRoot;
use crate::facts::{Caller, DeploymentFacts, Facts, ImageFacts, PathKind, REPO_CONFIG, SignatureFacts};

/// A file that asks for `/var` to be mounted in the initramfs.
const VAR_MARKER: &str = "/run/ostree/initramfs-mount-var";

/// The configuration of a repository has a few lines, and so has `/etc/fstab`.
pub(crate) const REPO_CONFIG_LIMIT: u64 = 1 << 20;

/// Everything that the plan depends on, before anything is mounted over it.
pub(crate) fn facts(
    physical: &PhysicalRoot,
    caller: Caller,
    deployment: &Deployment,
    conf: &PrepareRootConf,
    composefs: ComposefsMode,
    (image, signature): (ImageFacts, Option<SignatureFacts>),
    asked_for: &BootTarget,
) -> Result<Facts, SystemError> {
    let sysroot = physical.at.display().to_string();
    // If it is a link, its target is bound.
    let stateroot_var = kind_at_end(physical, &deployment.path.stateroot_var(), OFlags::empty())?;
    // With an image it is not used, so do not read it from a disk that must be verified first.
    let ask_repository = conf.sysroot_readonly != Some(true) && composefs <= ComposefsMode::Maybe;
    let repo = if ask_repository { repository_is_read_only(physical)? } else { RepoReadonly::default() };
    Ok(Facts {
        caller,
        sysroot_read_only: mount::is_read_only(physical).context("read the attributes of", &sysroot)?,
        boot_loader_link: kind_at(physical, "boot/loader")? == PathKind::Link,
        repo_readonly: repo.on,
        repo_problem: repo.problem,
        var_marker: dir::exists(VAR_MARKER).context("look for", VAR_MARKER)?,
        var_mounted_later: generator_mounts_var(physical, asked_for, &deployment.path)?
            || fstab_mounts_var(deployment, conf.etc_transient)?,
        init_mounts_later: false,
        stateroot_var,
        dev_mounted: caller == Caller::Pid1 && physical.is_mounted_on("dev")?,
        disk: if image.found == PathKind::File { disk(physical)? } else { None },
        image,
        signature,
        deployment: deployment_facts(caller, deployment, conf.etc_transient)
            .context("read the attributes of", format_args!("/{}", deployment.path))?,
        sysroot,
    })
}

/// Whether libostree's generator will find the stateroot of this deployment. It only reads the kernel command line. If that
/// chooses an Android slot, it reads the link of the slot and expects `deploy/STATEROOT/…` in it.
fn generator_mounts_var(
    physical: &PhysicalRoot,
    asked_for: &BootTarget,
    deployment: &DeploymentPath,
) -> Result<bool, SystemError> {
    match asked_for.source {
        TargetSource::Ostree => return Ok(names(&asked_for.path, &deployment.stateroot)),
        // There is no ostree=.
        TargetSource::Deployment => return Ok(false),
        TargetSource::AndroidSlot | TargetSource::Android => {}
    }
    let link = dir::if_there(dir::open(physical, &asked_for.path, OFlags::PATH | OFlags::NOFOLLOW));
    let target = link.and_then(|link| link.map(|link| dir::read_link(link, "")).transpose());
    let target = target.context("read the link", &asked_for.path)?;
    Ok(target.is_some_and(|target| target.starts_with(&format!("deploy/{}/", deployment.stateroot))))
}

/// Whether the generator takes this stateroot from the text of `ostree=`. A chosen deployment may be of another one: that of the text
/// may be gone from the disk.
fn names(path: &str, stateroot: &Stateroot) -> bool {
    if let Ok(deployment) = path.parse::<DeploymentPath>() {
        return deployment.stateroot == *stateroot;
    }
    let rest = path.strip_prefix("/ostree/boot.0/").or_else(|| path.strip_prefix("/ostree/boot.1/"));
    rest.and_then(|rest| rest.split_once('/')).is_some_and(|(named, _)| named == stateroot.as_str())
}

/// What is at a path on the physical root; a link at its end is not followed.
fn kind_at(physical: &PhysicalRoot, path: &str) -> Result<PathKind, SystemError> {
    kind_at_end(physical, path, OFlags::NOFOLLOW)
}

fn kind_at_end(physical: &PhysicalRoot, path: &str, flags: OFlags) -> Result<PathKind, SystemError> {
    let stat = stat_inside(physical, path, flags).context("read the attributes of", format_args!("/{path}"))?;
    Ok(stat.into())
}

/// The old place of `[sysroot] readonly`; a missing file means "not set".
fn repository_is_read_only(physical: &PhysicalRoot) -> Result<RepoReadonly, SystemError> {
    match dir::read(physical, REPO_CONFIG, REPO_CONFIG_LIMIT) {
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

/// `[sysroot] readonly` in the configuration of the repository.
#[derive(Debug, Default)]
struct RepoReadonly {
    on: bool,
    /// Why it cannot be read.
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
    caller: Caller,
    Deployment { path, directory, .. }: &Deployment,
    transient_etc: bool,
) -> Result<DeploymentFacts, Errno> {
    let stat = dir::stat_fd(directory)?;
    let name = |name: &str| dir::stat_name(directory, name).map(PathKind::from);
    let only_if = |wanted: bool, thing: &str| if wanted { name(thing) } else { Ok(PathKind::Nothing) };
    let pid1 = caller == Caller::Pid1;
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
            stat_inside(directory, "usr/etc", OFlags::NOFOLLOW)?.into()
        } else {
            PathKind::Nothing
        },
        dev: only_if(pid1, "dev")?,
        run: only_if(pid1, "run")?,
        init: pid1 && is_program(directory, "sbin/init")?,
        hotfix_work,
        hotfix_upper: only_if(hotfix_work != PathKind::Nothing, ".usr-ovl-upper")?,
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

/// The device that systemd chose, if it did; otherwise the device of the filesystem.
fn disk(physical: &PhysicalRoot) -> Result<Option<u64>, SystemError> {
    const CHOSEN: &str = "/dev/gpt-auto-root";
    if let Some(device) = block_device::at(CHOSEN).context("read the attributes of", CHOSEN)? {
        return Ok(Some(device));
    }
    match block_device::of_filesystem(physical) {
        // The caller of --plan may have no permission to ask btrfs, or the device has no name in this initramfs.
        Err(Errno::PERM | Errno::ACCESS | Errno::NOENT) => Ok(None),
        other => other.context("find the device of", "the physical root"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_finds_only_the_stateroot_that_the_path_names() {
        let os: Stateroot = "os".parse().unwrap();
        let deployment = format!("/ostree/deploy/os/deploy/{}.0", "a".repeat(64));
        for path in ["/ostree/boot.0/os/c/0", "/ostree/boot.1/os/c/0", &deployment] {
            assert!(names(path, &os), "{path}");
        }
        let other = deployment.replace("/os/", "/other/");
        for path in ["/ostree/boot.1/other/c/0", "/ostree/boot.1/os", "/ostree/boot.2/os/c/0", "/os/c/0", "", &other] {
            assert!(!names(path, &os), "{path}");
        }
    }
}
