//! What GRUB reads, and the program that writes it. Only reads.

use std::collections::BTreeSet;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::grub_cfg::{GrubNames, says_blscfg};
use ostree_formats::repo_config;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::boot_links;
use crate::boot_loader::{self, BootLoader, GrubConfig};
use crate::roots::Roots;

/// A larger script is not read.
const LIMIT: u64 = 1 << 20;

/// What the scripts that GRUB reads need: it stays, although no entry names it, when a new script could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NeededByGrub {
    /// Names in `boot/ostree`.
    pub in_boot_ostree: BTreeSet<String>,
    /// Sets of boot links.
    pub bootversions: BTreeSet<BootVersion>,
    /// The deployments that those links lead to.
    pub deployments: BTreeSet<DeploymentPath>,
    /// Why a script could not be read: it may need anything.
    pub unread: Option<String>,
}

/// Reads the active scripts, if the boot loader is GRUB.
///
/// # Errors
/// It cannot be found out which boot loader there is, or a boot link cannot be read.
pub fn needed(roots: &Roots, configured: repo_config::Bootloader) -> Result<NeededByGrub, SystemError> {
    let BootLoader::Grub(config) = boot_loader::find(roots, configured)? else { return Ok(NeededByGrub::default()) };
    let mut names = GrubNames::default();
    let mut needed = NeededByGrub::default();
    for path in scripts(&config) {
        match read(roots, &path) {
            Ok(found) => names.extend(found),
            Err(error) => needed.unread = Some(error.to_string()),
        }
    }
    for link in &names.bootlinks {
        needed.bootversions.insert(link.bootversion);
        needed.deployments.extend(boot_links::named_by(&roots.sysroot, link)?);
    }
    needed.in_boot_ostree = names.in_boot_ostree;
    Ok(needed)
}

/// A script that GRUB may read: its path in `/boot`, and the names in it.
pub type ReadMenu = (String, Result<GrubNames, SystemError>);

/// Each script that GRUB may read, by its path in `/boot`, with the names in it. None if the boot loader is another one.
///
/// # Errors
/// It cannot be found out which boot loader there is.
pub fn menus(roots: &Roots, configured: repo_config::Bootloader) -> Result<Vec<ReadMenu>, SystemError> {
    let BootLoader::Grub(config) = boot_loader::find(roots, configured)? else { return Ok(Vec::new()) };
    Ok(scripts(&config).into_iter().map(|path| (path.clone(), read(roots, &path))).collect())
}

/// The paths in `/boot` of the scripts that GRUB may read.
fn scripts(config: &GrubConfig) -> Vec<String> {
    match config {
        GrubConfig::InLoader => ["loader", "grub", "grub2"].map(|place| format!("{place}/grub.cfg")).into(),
        GrubConfig::OnEsp(directory) => vec![format!("{directory}/grub.cfg")],
    }
}

/// The names in one script in `/boot`; none if it does not exist.
///
/// # Errors
/// It cannot be read, or is larger than 1 MiB.
pub fn read(roots: &Roots, path: &str) -> Result<GrubNames, SystemError> {
    let script =
        dir::if_there(dir::read(&roots.mounted_boot, path, LIMIT)).context("read", format_args!("/boot/{path}"))?;
    Ok(script.map(|script| GrubNames::of(&script)).unwrap_or_default())
}

/// Whether GRUB reads boot loader entries itself, by what the script of libostree in `/etc/grub.d` looks at. What cannot be read says
/// nothing.
pub fn reads_entries(roots: &Roots) -> bool {
    let is_supported = dir::open(&roots.mounted_boot, "grub2/.grub2-blscfg-supported", OFlags::PATH).is_ok();
    is_supported && dir::read(&roots.system, "etc/default/grub", LIMIT).is_ok_and(|text| says_blscfg(&text))
}

/// The program that writes the script: the first of these that is there.
///
/// # Errors
/// As a lookup.
pub fn program(roots: &Roots) -> Result<Option<String>, SystemError> {
    for path in
        ["/usr/sbin/grub2-mkconfig", "/usr/sbin/grub-mkconfig", "/usr/bin/grub2-mkconfig", "/usr/bin/grub-mkconfig"]
    {
        match dir::open(&roots.system, path, OFlags::PATH) {
            Ok(_) => return Ok(Some(path.to_owned())),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error).context("read the attributes of", path),
        }
    }
    Ok(None)
}
