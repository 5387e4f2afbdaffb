//! Which boot loader a system has, and the files that it reads beside boot loader entries. Only reads.
//!
//! Everything is looked up in `/boot` as it is mounted, with the ESP below it, as libostree does.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use crate::deployment;
use crate::roots::Roots;

/// The file that syslinux reads, in `/boot`.
pub const SYSLINUX_CFG: &str = "syslinux/syslinux.cfg";
/// The file that U-Boot reads, in `/boot`.
pub const UENV: &str = "loader/uEnv.txt";

/// Larger files are not these.
const LIMIT: u64 = 1 << 20;

/// A boot loader, by what it needs beside entries and boot links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BootLoader {
    /// Nothing: it reads entries.
    #[default]
    Entries,
    /// `syslinux.cfg`.
    Syslinux,
    /// `uEnv.txt`.
    Uboot,
    /// `grub.cfg`, which a program writes.
    Grub(GrubConfig),
    /// A program that writes the disk's first blocks.
    Zipl,
    /// A program that writes Android's partitions.
    Aboot,
}

/// Where GRUB's configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrubConfig {
    /// In `boot/loader.N`; the file that GRUB reads is a link to it.
    InLoader,
    /// In this directory of the ESP, relative to `/boot`.
    OnEsp(String),
}

impl BootLoader {
    /// libostree's name in the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Entries => "none",
            Self::Syslinux => "syslinux",
            Self::Uboot => "U-Boot",
            Self::Grub(_) => "grub2",
            Self::Zipl => "zipl",
            Self::Aboot => "aboot",
        }
    }

    /// Whether its file changes with the link `boot/loader`.
    pub fn is_swapped(&self) -> bool {
        !matches!(self, Self::Entries | Self::Grub(GrubConfig::OnEsp(_)))
    }
}

/// The boot loader that is configured, or that has a file in `/boot`.
///
/// # Errors
/// A name cannot be looked up, or a directory cannot be listed. What does not exist is not there.
pub fn find(roots: &Roots, configured: repo_config::Bootloader) -> Result<BootLoader, SystemError> {
    Ok(match configured {
        repo_config::Bootloader::None => BootLoader::Entries,
        repo_config::Bootloader::Syslinux => BootLoader::Syslinux,
        repo_config::Bootloader::Uboot => BootLoader::Uboot,
        repo_config::Bootloader::Grub2 => BootLoader::Grub(GrubConfig::InLoader),
        repo_config::Bootloader::Zipl => BootLoader::Zipl,
        repo_config::Bootloader::Aboot => BootLoader::Aboot,
        repo_config::Bootloader::Auto => look(&roots.mounted_boot)?,
    })
}

/// The boot loader that has a file in `boot`.
///
/// # Errors
/// As [`find`].
pub fn look(boot: &OwnedFd) -> Result<BootLoader, SystemError> {
    if kind(boot, SYSLINUX_CFG, OFlags::NOFOLLOW)?.is_some() {
        return Ok(BootLoader::Syslinux);
    }
    if !bootupd_has_static_configs(boot)? {
        for path in ["grub/grub.cfg", "grub2/grub.cfg"] {
            if kind(boot, path, OFlags::empty())?.is_some() {
                return Ok(BootLoader::Grub(GrubConfig::InLoader));
            }
        }
        // libostree skips the directory of removable media, too.
        for vendor in names_if_there(boot, "efi/EFI")?.iter().filter(|vendor| *vendor != "BOOT") {
            let directory = format!("efi/EFI/{vendor}");
            if kind(boot, &format!("{directory}/grub.cfg"), OFlags::empty())?.is_some() {
                return Ok(BootLoader::Grub(GrubConfig::OnEsp(directory)));
            }
        }
    }
    let is_uboot = kind(boot, UENV, OFlags::NOFOLLOW)?.is_some();
    Ok(if is_uboot { BootLoader::Uboot } else { BootLoader::Entries })
}

/// What is at a path in `/boot`, links followed, or not with `NOFOLLOW`; `None` if it does not exist.
fn kind(boot: &OwnedFd, path: &str, flags: OFlags) -> Result<Option<Kind>, SystemError> {
    dir::if_there(dir::open(boot, path, OFlags::PATH | flags).and_then(dir::stat_fd))
        .map(|stat| stat.map(|stat| stat.kind))
        .context("read the attributes of", format_args!("/boot/{path}"))
}

fn names_if_there(boot: impl AsFd, path: &str) -> Result<Vec<String>, SystemError> {
    let names = dir::if_there(dir::names(boot, path)).context("list", format_args!("/boot/{path}"))?;
    Ok(names.unwrap_or_default())
}

/// Whether bootupd has installed a GRUB that reads boot loader entries itself.
///
/// # Errors
/// bootupd's state cannot be read.
pub fn bootupd_has_static_configs(boot: &OwnedFd) -> Result<bool, SystemError> {
    const STATE: &str = "bootupd-state.json";
    let state = match dir::read(boot, STATE, LIMIT) {
        // So large a file is not bootupd's.
        Err(Errno::NOENT | Errno::FBIG) => return Ok(false),
        other => other.context("read", format_args!("/boot/{STATE}"))?,
    };
    Ok(says_static_configs(&state))
}

/// Whether bootupd's state contains static configurations. `false` if it is damaged: then a `grub.cfg` is written as well.
pub fn says_static_configs(state: &[u8]) -> bool {
    let state = serde_json::from_slice::<serde_json::Value>(state).unwrap_or_default();
    state.get("static-configs").is_some_and(|value| !value.is_null())
}

/// The text of a file in `/boot`; empty if it does not exist.
///
/// # Errors
/// It cannot be read, is no file, or is larger than 1 MiB.
pub fn text(roots: &Roots, path: &str) -> Result<Vec<u8>, SystemError> {
    let text =
        dir::if_there(dir::read(&roots.mounted_boot, path, LIMIT)).context("read", format_args!("/boot/{path}"))?;
    Ok(text.unwrap_or_default())
}

/// The lines that a tree wants in `uEnv.txt`; `None` if it has none.
///
/// # Errors
/// They cannot be read, or are more than 1 MiB.
pub fn uenv_of_tree(roots: &Roots, path: &DeploymentPath) -> Result<Option<Vec<u8>>, SystemError> {
    const PATH: &str = "usr/lib/ostree-boot/uEnv.txt";
    let read = deployment::open(roots, path).map(|tree| dir::if_there(dir::read(tree, PATH, LIMIT)))?;
    read.context("read", format_args!("/{path}/{PATH}"))
}

/// Whether a boot loader reads, at this path in `/boot`, something else than a link: no update reaches that.
///
/// # Errors
/// As a lookup.
pub fn is_no_link(roots: &Roots, path: &str) -> Result<bool, SystemError> {
    Ok(kind(&roots.mounted_boot, path, OFlags::NOFOLLOW)?.is_some_and(|kind| kind != Kind::Link))
}
