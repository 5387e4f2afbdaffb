//! Whether a machine boots, and what, with a disk as a power cut has left it.

use std::path::Path;

use anyhow::Result;

use super::known::{Known, deployed, follow};
use super::views::{View, entries};
use crate::finalize::{compare, show};

/// What is wrong in one view of `/boot`; `root` is the physical root, mounted. With `only_new` the old system is not right any more.
pub(super) fn complaints(
    known: &Known,
    view: &dyn View,
    boot: &str,
    root: &Path,
    only_new: bool,
) -> Result<Vec<String>> {
    let whose = view.whose();
    let listed = match entries(view, boot) {
        Ok(listed) if listed.is_empty() => return Ok(vec![format!("{whose}: there is no entry")]),
        Ok(listed) => listed,
        Err(error) => return Ok(vec![format!("{whose}: {error:#}")]),
    };
    let mut complaints = Vec::new();
    let mut default = None;
    for entry in listed {
        let path = entry.link.as_deref().map(|link| follow(root, link));
        let path = match path {
            Some(Ok(path)) => path,
            Some(Err(error)) => {
                complaints.push(format!("{whose}: {}: {error:#}", entry.name));
                continue;
            }
            None => {
                complaints.push(format!("{whose}: {} has no ostree=", entry.name));
                continue;
            }
        };
        default.get_or_insert_with(|| path.clone());
        let Some(wanted) = known.deployments.get(&path) else {
            complaints.push(format!("{whose}: {} leads to /{path}, which is of no list", entry.name));
            continue;
        };
        let (kernel, initramfs) = (Ok(wanted.kernel.clone()), vec![Ok(wanted.initramfs.clone())]);
        if entry.kernel != kernel || entry.initramfs != initramfs {
            complaints.push(format!(
                "{whose}: {} has kernel {:?} and initramfs {:?}, and not {} and {}",
                entry.name, entry.kernel, entry.initramfs, wanted.kernel, wanted.initramfs
            ));
        }
        match deployed(root, &path) {
            Ok(there) => {
                let found = compare(&there.listing, &wanted.listing);
                if !found.is_empty() {
                    complaints.push(format!("{whose}: /{path} is not whole:\n{}", show(&found)));
                }
            }
            Err(error) => complaints.push(format!("{whose}: /{path}: {error:#}")),
        }
    }
    match default {
        Some(path) if path == known.new => {}
        Some(path) if path == known.old && !only_new => {}
        Some(path) => complaints.push(format!("{whose}: the default is /{path}")),
        None => complaints.push(format!("{whose}: no entry can be booted")),
    }
    Ok(complaints)
}
