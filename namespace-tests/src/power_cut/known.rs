//! What must be on the disk: the old system and the new one, each whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use qemu_tests::boot_entry::BootEntry;

use crate::finalize::listing::shown;
use crate::finalize::{Listing, Machine, listing_below};

/// A deployment as it must be.
#[derive(Debug)]
pub(super) struct Deployed {
    /// In short, as entries must lead to it.
    pub(super) kernel: String,
    /// The same of its initramfs.
    pub(super) initramfs: String,
    /// All that is in it, `/etc` among it.
    pub(super) listing: Listing,
}

/// Two states of one disk, both right: before finalization, and after it.
#[derive(Debug)]
pub struct Known {
    /// By path: those of the old list as they were, and the new one as it must be.
    pub(super) deployments: BTreeMap<String, Deployed>,
    /// The default before.
    pub(super) old: String,
    /// The default after.
    pub(super) new: String,
}

impl Known {
    /// `before` is staged, `after` is a copy that was finalized without anybody's cutting the power.
    pub fn of(before: &Machine, after: &Machine) -> Result<Known> {
        let (old, mut deployments) = before.with_disk(list)?;
        let (new, later) = after.with_disk(list)?;
        deployments.extend(later);
        Ok(Known { deployments, old, new })
    }
}

/// The default, and all deployments of the list.
fn list(root: &Path) -> Result<(String, BTreeMap<String, Deployed>)> {
    let entries = root.join("boot/loader/entries");
    let names = fs::read_dir(&entries).context("listing entries")?.flatten();
    let names = BootEntry::in_order(names.map(|name| name.file_name().to_string_lossy().into_owned()).collect());
    let mut deployments = BTreeMap::new();
    let mut default = None;
    for name in names {
        let entry = BootEntry::parse(&fs::read_to_string(entries.join(&name))?);
        let path = follow(root, entry.argument("ostree").context("ostree=")?)?;
        default.get_or_insert_with(|| path.clone());
        deployments.insert(path.clone(), deployed(root, &path)?);
    }
    Ok((default.context("no entry")?, deployments))
}

/// The path of the deployment that a boot link leads to.
pub(super) fn follow(root: &Path, link: &str) -> Result<String> {
    let link = root.join(link.trim_start_matches('/'));
    let target = fs::read_link(&link).with_context(|| format!("the boot link {}", link.display()))?;
    let target = target.to_string_lossy().into_owned();
    let path = target.strip_prefix("../../../").with_context(|| format!("it leads to {target}"))?;
    Ok(format!("ostree/{path}"))
}

/// What a deployment is like now.
pub(super) fn deployed(root: &Path, path: &str) -> Result<Deployed> {
    let modules = root.join(path).join("usr/lib/modules");
    let version = fs::read_dir(&modules).with_context(|| format!("listing {}", modules.display()))?.next();
    let directory = version.context("no kernel")??.path();
    let content = |name: &str| Ok::<_, anyhow::Error>(shown(&fs::read(directory.join(name))?));
    Ok(Deployed {
        kernel: content("vmlinuz")?,
        initramfs: content("initramfs.img")?,
        listing: listing_below(root, Path::new(path))?,
    })
}
