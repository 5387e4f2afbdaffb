//! After the swap: what nothing leads to any more goes. Nothing here is an error: what cannot be removed now is removed next time.
//! No object of the repository is: that is left to the running system.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::{DeploymentId, DeploymentPath, Stateroot};
use rustix::fs::{Mode, OFlags, Timestamps};
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::boot_plan::{boot_directory, overlay_file};
use crate::deployment::{identity, is_pinned};
use crate::deployment_list::Listed;
use crate::foreign::NamedInBoot;
use crate::prepared::{self, is_kernel_directory};
use crate::roots::Roots;
use crate::stamp;
use crate::xfs_directory;

/// What is current after the swap.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    /// `boot/loader`.
    pub(crate) bootversion: BootVersion,
    /// `ostree/boot.N`.
    pub(crate) subbootversion: BootVersion,
    /// The list.
    pub(crate) list: Vec<Listed>,
    /// What boot loader entries of others name in `boot/ostree`: it stays.
    pub(crate) named_by_others: NamedInBoot,
    /// Whether the list is known to lack what may be in use: then no deployment and nothing in `boot/ostree` is removed.
    pub(crate) is_incomplete: bool,
    /// Device and inode of the deployment that a prepared soft reboot has mounted.
    pub(crate) next_root: Option<(u64, u64)>,
}

/// What goes, in the order in which it goes: paths relative to the physical root, or to `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Removals {
    /// In `/boot`.
    pub(crate) boot: Vec<String>,
    /// On the physical root.
    pub(crate) sysroot: Vec<String>,
}

/// The names that decide it, as they are on the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    boot: Vec<String>,
    boot_ostree: Vec<String>,
    overlays: Vec<String>,
    ostree: Vec<String>,
    /// Those that have a directory, or only an origin file: the rest of one that was removed by a run that was interrupted.
    deployments: BTreeSet<DeploymentPath>,
    /// Backing directories.
    backing: BTreeSet<DeploymentPath>,
    /// Links that versions of libostree before 2014 made in each stateroot.
    current: Vec<String>,
}

/// Removes what nothing leads to, and writes the refs of the list. Each failure is one warning. Deployments of `before`, the list
/// that this update has replaced, are left to the next boot, if there is room for them. One that was in no list before is a boot
/// late already.
pub(crate) fn clean(roots: &Roots, current: &Current, before: &[DeploymentPath]) {
    if let Err(error) = bump(roots) {
        log::warn!("{error}");
    }
    clean_boot(roots, current);
    if current.is_incomplete {
        log::warn!(
            "no deployment and no kernel is removed: an entry led nowhere, and what it was about may still be wanted"
        );
    }
    // An incomplete picture of the disk does not tell what is in use.
    match find(roots, Unreadable::IsAnError).and_then(|found| without_what_stays(roots, found, current)) {
        Ok(mut found) => {
            if !is_nearly_full(roots) {
                found.deployments.retain(|path| !before.contains(path));
                found.backing.retain(|path| !before.contains(path));
            }
            remove_all(&roots.sysroot, "/", &removals(&found, current).sysroot);
        }
        Err(error) => log::warn!("nothing is removed: {error}"),
    }
    if let Err(error) = write_refs(&roots.sysroot, current) {
        log::warn!(
            "the refs of the deployments are not up to date: {error}; any ostree admin command that cleans up mends that"
        );
    }
}

/// What of the physical root is removed after a boot, as paths: deployments that are neither in the list, nor among `kept`, nor pinned,
/// nor the root that a soft reboot goes to, with their origins and backing directories.
pub(crate) fn old_deployments(
    roots: &Roots,
    current: &Current,
    kept: &[DeploymentPath],
) -> Result<Vec<String>, SystemError> {
    let found = without_what_stays(roots, find(roots, Unreadable::IsAnError)?, current)?;
    let Found { mut deployments, mut backing, .. } = found;
    deployments.retain(|path| !kept.contains(path));
    backing.retain(|path| !kept.contains(path));
    Ok(removals(&Found { deployments, backing, ..Found::default() }, current).sysroot)
}

/// Whether the physical root needs the room of old deployments now: less than a tenth of it is left to others than root, and less
/// than 4 GiB, or less than a tenth of its inodes.
fn is_nearly_full(roots: &Roots) -> bool {
    const ENOUGH: u64 = 4 << 30;
    match rustix::fs::fstatvfs(&roots.sysroot) {
        Ok(stat) => {
            let bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
            // Filesystems that make inodes as they need them say that they have none.
            (stat.f_bavail < stat.f_blocks / 10 && bytes < ENOUGH) || stat.f_favail < stat.f_files / 10
        }
        Err(error) => {
            log::warn!("cannot look how full the physical root is: {error}: old deployments are removed now");
            true
        }
    }
}

/// The part in `/boot`: what makes room there.
pub(crate) fn clean_boot(roots: &Roots, current: &Current) {
    match find(roots, Unreadable::IsAnError) {
        Ok(found) => remove_all(&roots.boot, "/boot/", &removals(&found, current).boot),
        Err(error) => log::warn!("nothing is removed from /boot: {error}"),
    }
}

fn remove_all(root: &OwnedFd, shown: &str, paths: &[String]) {
    for path in paths {
        let removed = match path.rsplit_once('/') {
            Some((directory, name)) => dir::open(root, directory, OFlags::RDONLY | OFlags::DIRECTORY)
                .and_then(|directory| tree::remove(directory, name.as_bytes())),
            None => tree::remove(root, path.as_bytes()),
        };
        if let Err(error) = removed {
            log::warn!("cannot remove {shown}{path}: {error}; it will be removed by the next update");
        }
    }
}

/// The deployment that a prepared soft reboot has mounted stays, and what the administrator has pinned, whatever became of its entry.
fn without_what_stays(roots: &Roots, mut found: Found, current: &Current) -> Result<Found, SystemError> {
    for path in found.deployments.clone() {
        let is_next = current.next_root.is_some() && identity(roots, &path)? == current.next_root;
        let is_pinned = || {
            is_pinned(roots, &path).unwrap_or_else(|error| {
                log::warn!("{error}: whether it is pinned is not known, so it stays");
                true
            })
        };
        let is_listed = current.list.iter().any(|listed| listed.deployment.path == path);
        if is_next || !is_listed && is_pinned() {
            found.deployments.remove(&path);
            found.backing.remove(&path);
        }
    }
    Ok(found)
}

/// What a directory is that may not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// For a run that acts.
    IsAnError,
    /// For `--plan` without root, which says what it can.
    IsEmpty,
}

/// Reads the names.
pub(crate) fn find(roots: &Roots, unreadable: Unreadable) -> Result<Found, SystemError> {
    let names = |root: &OwnedFd, path: &str, shown: &str| match dir::names(root, path) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(Errno::ACCESS) if unreadable == Unreadable::IsEmpty => Ok(Vec::new()),
        other => other.context("list", format_args!("{shown}{path}")),
    };
    let boot = names(&roots.boot, ".", "/boot/")?;
    let boot_ostree = names(&roots.boot, "ostree", "/boot/")?;
    let overlays = names(&roots.boot, "ostree/initramfs-overlays", "/boot/")?;
    let ostree = names(&roots.sysroot, "ostree", "/sysroot/")?;
    let (mut deployments, mut backing, mut current) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for stateroot in names(&roots.sysroot, "ostree/deploy", "/sysroot/")? {
        let Ok(stateroot) = stateroot.parse::<Stateroot>() else { continue };
        let link = format!("ostree/deploy/{stateroot}/current");
        match dir::open(&roots.sysroot, &link, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd) {
            Ok(stat) if stat.kind == Kind::Link => current.push(link),
            // A file beside the stateroots is none of ours.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error).context("look at", format_args!("/sysroot/{link}")),
        }
        for (place, list) in [("deploy", &mut deployments), ("backing", &mut backing)] {
            let path = format!("ostree/deploy/{stateroot}/{place}");
            let found = match names(&roots.sysroot, &path, "/sysroot/") {
                // A file beside the stateroots is none of ours.
                Err(error) if error.reason == Errno::NOTDIR => continue,
                other => other?,
            };
            let ids = found
                .iter()
                .filter_map(|name| name.strip_suffix(".origin").unwrap_or(name).parse::<DeploymentId>().ok());
            list.extend(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }));
        }
    }
    Ok(Found { boot, boot_ostree, overlays, ostree, deployments, backing, current })
}

/// Decides what goes.
pub(crate) fn removals(found: &Found, current: &Current) -> Removals {
    let listed: BTreeSet<&DeploymentPath> = current.list.iter().map(|listed| &listed.deployment.path).collect();
    let kernels: BTreeSet<String> = current.list.iter().map(|listed| boot_directory(&listed.deployment)).collect();
    let overlays: BTreeSet<String> =
        current.list.iter().flat_map(|listed| &listed.deployment.overlay_initrds).map(overlay_file).collect();
    let (n, s) = (current.bootversion, current.subbootversion);
    let other = n.other();

    let mut removals = Removals::default();
    let old_loader = ["loader.tmp".to_owned(), format!("loader.{other}"), xfs_directory::ASIDE.to_owned()];
    removals.boot.extend(found.boot.iter().filter(|name| old_loader.contains(name)).cloned());
    let may_be_used = |path: &str| current.is_incomplete || current.named_by_others.has(path);
    let unused = |name: &&String| {
        let interrupted = name.strip_suffix(".new").is_some_and(is_kernel_directory);
        prepared::is_one(name)
            || interrupted
            || *name == stamp::NEW
            || (is_kernel_directory(name) && !kernels.contains(*name) && !may_be_used(name))
    };
    removals.boot.extend(found.boot_ostree.iter().filter(unused).map(|name| format!("ostree/{name}")));
    let overlay = |name: &String| format!("initramfs-overlays/{name}");
    let unused = |name: &&String| {
        let interrupted = name.starts_with('.') && name.ends_with(".img.new");
        let used = || overlays.contains(&overlay(name)) || may_be_used(&overlay(name));
        interrupted || (name.ends_with(".img") && !used())
    };
    removals.boot.extend(found.overlays.iter().filter(unused).map(|name| format!("ostree/{}", overlay(name))));

    let old_links = [
        format!("boot.{n}.tmp"),
        format!("boot.{other}.tmp"),
        format!("boot.{other}"),
        format!("boot.{n}.{}", s.other()),
        format!("boot.{other}.0"),
        format!("boot.{other}.1"),
    ];
    removals
        .sysroot
        .extend(found.ostree.iter().filter(|name| old_links.contains(name)).map(|name| format!("ostree/{name}")));
    removals.sysroot.extend(found.current.iter().cloned());
    let goes = |path: &&DeploymentPath| !current.is_incomplete && !listed.contains(path);
    for path in found.deployments.iter().filter(goes) {
        // The origin goes last: with it a deployment that could not be removed whole is still known as one.
        removals.sysroot.extend([path.to_string(), path.origin_file()]);
    }
    let unused = found.backing.iter().filter(goes);
    removals.sysroot.extend(unused.map(|path| format!("ostree/deploy/{}/backing/{}", path.stateroot, path.id)));
    removals
}

/// Others watch the time of this directory to learn that the list has changed.
fn bump(roots: &Roots) -> Result<(), SystemError> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    dir::open(&roots.sysroot, "ostree/deploy", OFlags::RDONLY | OFlags::DIRECTORY)
        .and_then(|directory| rustix::fs::futimens(directory, &times))
        .context("touch", "/sysroot/ostree/deploy")
}

/// The refs `ostree/N/S/INDEX` keep the commits of the list from being pruned: exactly these are to be there.
fn write_refs(sysroot: &OwnedFd, current: &Current) -> Result<(), SystemError> {
    const HEADS: &str = "ostree/repo/refs/heads";
    let shown = |path: &str| format!("/sysroot/{HEADS}/{path}");
    let heads = dir::open(sysroot, HEADS, OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/sysroot/{HEADS}"))?;
    let (n, s) = (current.bootversion, current.subbootversion);
    let wanted = format!("ostree/{n}/{s}");
    let make = |path: &str| match rustix::fs::mkdirat(&heads, path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other.context("make", shown(path)),
    };
    for path in ["ostree", &format!("ostree/{n}"), &wanted] {
        make(path)?;
    }
    let directory = dir::open(&heads, &wanted, OFlags::RDONLY | OFlags::DIRECTORY).context("open", shown(&wanted))?;
    let mut names = BTreeSet::new();
    for (index, listed) in current.list.iter().enumerate() {
        let name = index.to_string();
        let content = format!("{}\n", listed.deployment.path.id.commit);
        let shown = shown(&format!("{wanted}/{name}"));
        let same = match dir::read_no_link(&directory, &name, 1 << 10) {
            Ok(bytes) => bytes == content.as_bytes(),
            // No ref, or something else in its place.
            Err(Errno::NOENT | Errno::LOOP | Errno::FBIG | Errno::INVAL | Errno::ISDIR) => false,
            Err(error) => return Err(error).context("read", shown),
        };
        if !same {
            dir::replace_file(&directory, &name, content.as_bytes(), 0o644).context("write", shown)?;
        }
        names.insert(name);
    }
    for (name, _) in tree::entries(&directory).context("list", shown(&wanted))? {
        if !names.contains(String::from_utf8_lossy(&name).as_ref()) {
            tree::remove(&directory, &name).context("remove", shown(&wanted))?;
        }
    }
    // Of the other three sets the files go, and their directories stay, as libostree leaves them.
    for (version, sub) in [(n, s.other()), (n.other(), s), (n.other(), s.other())] {
        let set = format!("ostree/{version}/{sub}");
        match dir::open(&heads, &set, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => tree::empty(directory).context("remove the refs in", shown(&set))?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).context("open", shown(&set)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    #[test]
    fn without_a_list_everything_of_ours_goes_and_nothing_else() {
        let path = |digit| format!("ostree/deploy/os/deploy/{}.0", sum(digit)).parse::<DeploymentPath>().unwrap();
        let found = Found {
            boot: ["boot", "loader", "loader.0", "loader.1", "loader.tmp", "efi"].map(str::to_owned).to_vec(),
            boot_ostree: vec![
                format!("os-{}", sum('a')),
                format!("os-{}.prepared", sum('b')),
                format!("os-{}.new", sum('b')),
                "mine".to_owned(),
                "mine.new".to_owned(),
                "finalize-failure.stamp".to_owned(),
                ".finalize-failure.stamp.new".to_owned(),
            ],
            overlays: vec![format!("{}.img", sum('c')), format!(".{}.img.new", sum('c')), "readme".to_owned()],
            ostree: ["boot.0", "boot.0.1", "boot.1", "boot.1.0", "boot.1.1", "deploy", "repo", "lock"]
                .map(str::to_owned)
                .to_vec(),
            deployments: BTreeSet::from([path('a')]),
            backing: BTreeSet::from([path('a')]),
            current: Vec::new(),
        };
        let current = Current {
            bootversion: BootVersion::One,
            subbootversion: BootVersion::One,
            list: Vec::new(),
            named_by_others: NamedInBoot::default(),
            is_incomplete: false,
            next_root: None,
        };
        let removals = removals(&found, &current);
        assert_eq!(
            removals.boot,
            [
                "loader.0".to_owned(),
                "loader.tmp".to_owned(),
                format!("ostree/os-{}", sum('a')),
                format!("ostree/os-{}.prepared", sum('b')),
                format!("ostree/os-{}.new", sum('b')),
                "ostree/.finalize-failure.stamp.new".to_owned(),
                format!("ostree/initramfs-overlays/{}.img", sum('c')),
                format!("ostree/initramfs-overlays/.{}.img.new", sum('c')),
            ]
        );
        let deployment = path('a').to_string();
        assert_eq!(
            removals.sysroot,
            [
                "ostree/boot.0".to_owned(),
                "ostree/boot.0.1".to_owned(),
                "ostree/boot.1.0".to_owned(),
                deployment.clone(),
                format!("{deployment}.origin"),
                format!("ostree/deploy/os/backing/{}.0", sum('a')),
            ]
        );
    }
}
