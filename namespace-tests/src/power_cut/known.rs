//! What must be there after a power cut: all of it was seen before the finalization, or after it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::cuts::Cut;
use super::layout::Layout;
use super::recording::Recording;
use super::replay::Replay;
use super::root::{MountedDisk, Root};
use super::scratch::clone;
use super::views::entries;
use crate::finalize::Listing;

/// The deployments that the boot loader offers.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// The first one's path on the physical root.
    pub(super) default: String,
    /// All of them.
    pub(super) deployments: BTreeSet<String>,
}

/// The lists before and after, and all there is in their deployments.
#[derive(Clone, Debug)]
pub struct Known {
    pub(super) old: List,
    pub(super) new: List,
    /// One that may come between them.
    pub(super) between: Option<BTreeSet<String>>,
    pub(super) content: BTreeMap<String, Listing>,
}

impl Known {
    /// Of a finalization that succeeded.
    pub fn of(recording: &Recording, directory: &Path) -> Result<Known> {
        let disk = directory.join("known.img");
        drop(clone(&recording.base(), &disk)?);
        let (old, mut content) = look(&disk, &recording.layout, directory).context("the disk before")?;
        let all = Cut { after: recording.log.operations.len(), lost: None };
        Replay::of(recording, directory)?.cut(all, &disk)?;
        let (new, content_after) = look(&disk, &recording.layout, directory).context("the disk after")?;
        ensure!(old.default != new.default, "the finalization has not changed the default");
        for (deployment, listing) in content_after {
            if let Some(before) = content.get(&deployment) {
                ensure!(*before == listing, "{deployment} is not what it was before the finalization");
            }
            content.insert(deployment, listing);
        }
        Ok(Known { old, new, between: None, content })
    }

    /// Where there is little room in `/boot`, what is going away goes first.
    #[must_use]
    pub fn with_little_room(mut self) -> Known {
        self.between = Some(self.old.deployments.intersection(&self.new.deployments).cloned().collect());
        self
    }

    /// A file's content in `/etc` of the new deployment, if it is there; that of a short text is in quotes.
    pub fn new_etc(&self, path: &str) -> Option<&str> {
        let listing = self.content.get(&self.new.default)?;
        listing.get(&format!("{}/etc/{path}", self.new.default))?.get("content").map(String::as_str)
    }
}

fn look(disk: &Path, layout: &Layout, directory: &Path) -> Result<(List, BTreeMap<String, Listing>)> {
    let mounted = MountedDisk::mount(disk, layout, directory)?;
    let found = list(&mounted.root(), &entries(&mounted.view(), layout.boot_path())?);
    mounted.unmount()?;
    found
}

fn list(root: &Root, entries: &[super::views::Listed]) -> Result<(List, BTreeMap<String, Listing>)> {
    let mut content = BTreeMap::new();
    let mut default = None;
    for entry in entries {
        let link = entry.link.as_deref().with_context(|| format!("{} has no ostree=", entry.name))?;
        let deployment = root.deployment(link)?;
        content.insert(deployment.clone(), root.listing(&deployment)?);
        default.get_or_insert(deployment);
    }
    let Some(default) = default else { bail!("no entry") };
    Ok((List { default, deployments: content.keys().cloned().collect() }, content))
}
