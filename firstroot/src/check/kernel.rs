//! Whether kernel and initramfs in `/boot` are whole, and those of the deployment: the bootcsum is computed from them again.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_names::kernel_directory;
use ostree_sysroot::kernel_layout::{self, BootFile, KernelError, KernelLayout, checksum_in};
use ostree_sysroot::{bootcsum, deployment, same_files};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{SystemError, dir};

use super::model::Finding;
use crate::place::{Place, as_root};
use crate::read::menu::MenuEntry;

/// The findings for the kernel of an entry that leads to the deployment at `path`.
pub(super) fn findings(place: &Place, entry: &MenuEntry, path: &DeploymentPath) -> Vec<Finding> {
    let directory = format!("ostree/{}", kernel_directory(&path.stateroot, &entry.link.bootcsum));
    let shown = format!("/boot/{directory}");
    let layout = match layout(place, entry, path) {
        Ok(layout) => layout,
        Err(finding) => return vec![finding],
    };
    let mut found = Vec::new();
    let kernel = format!("{directory}/{}", layout.kernel.target);
    if entry.kernel().is_some_and(|named| named != kernel) {
        let text = format!(
            "{} boots {}, and not the kernel of its deployment, /boot/{kernel}",
            entry.path,
            shown_kernel(entry)
        );
        found.push(Finding::bad(&entry.path, text, "ostree admin deploy REF writes new entries".to_owned()));
        return found;
    }
    if let Some(initramfs) = &layout.initramfs {
        let wanted = format!("{directory}/{}", initramfs.target);
        if !entry.initrds().any(|named| named == wanted) {
            let text = format!("{} does not load the initramfs of its deployment, /boot/{wanted}", entry.path);
            found.push(Finding::bad(&entry.path, text, format!("add to {}: initrd /{wanted}", entry.path)));
            return found;
        }
    }
    match same_as_boot_link(place, entry, &directory, &layout) {
        Ok(true) => {}
        Ok(false) => found.extend(compared(place, entry, path, &directory, &layout)),
        Err(error) if error.reason == Errno::NOENT => {
            found.extend(compared(place, entry, path, &directory, &layout));
        }
        Err(error) => found.push(Finding::unknown(&shown, error.to_string(), as_root())),
    }
    found
}

fn shown_kernel(entry: &MenuEntry) -> String {
    entry.kernel().map_or_else(|| "no kernel".to_owned(), |path| format!("/boot/{path}"))
}

/// The kernel of the deployment.
fn layout(place: &Place, entry: &MenuEntry, path: &DeploymentPath) -> Result<KernelLayout, Finding> {
    let shown = format!("/{path}");
    let opened = deployment::open(&place.roots, path);
    let opened = opened.map_err(|error| Finding::unknown(&shown, error.to_string(), as_root()))?;
    kernel_layout::find(&opened, path, Some(&entry.link.bootcsum)).map_err(|error| match error {
        KernelError::System(error) => Finding::unknown(&shown, error.to_string(), as_root()),
        error => Finding::bad(
            &shown,
            error.to_string(),
            "boot another entry; ostree fsck; ostree admin deploy REF".to_owned(),
        ),
    })
}

/// Whether the files in `/boot` have the bootcsum of the link. Older layouts have it only in their names.
fn same_as_boot_link(
    place: &Place,
    entry: &MenuEntry,
    directory: &str,
    layout: &KernelLayout,
) -> Result<bool, SystemError> {
    if checksum_in(&layout.kernel.source).is_some() {
        return Ok(false);
    }
    let there = |file: &BootFile| BootFile { source: file.target.clone(), ..file.clone() };
    let in_boot = KernelLayout {
        directory: directory.to_owned(),
        kernel: there(&layout.kernel),
        initramfs: layout.initramfs.as_ref().map(there),
        devicetree: layout.devicetree.as_ref().map(there),
        hmac: None,
        aboot: None,
    };
    let found = bootcsum::of(&place.roots.boot, &in_boot);
    let found = found.map_err(|error| SystemError { object: format!("/boot/{}", error.object).into(), ..error })?;
    Ok(found == entry.link.bootcsum.as_str())
}

/// Compares each file with the tree's, to name the one that differs.
fn compared(
    place: &Place,
    entry: &MenuEntry,
    path: &DeploymentPath,
    directory: &str,
    layout: &KernelLayout,
) -> Vec<Finding> {
    let (tree, there) = match opened(place, path, directory, layout) {
        Ok(both) => both,
        Err(error) => return vec![Finding::unknown(&format!("/boot/{directory}"), error.to_string(), as_root())],
    };
    let mut found = Vec::new();
    for file in layout.files() {
        let shown = format!("/boot/{directory}/{}", file.target);
        match same_files::same(&tree, &there, file) {
            Ok(true) => {}
            Ok(false) => {
                let source = format!("/{path}/{}/{}", layout.directory, file.source);
                let text = format!("it is not the file of its deployment, {source}");
                let physical = place.physical.join(source.trim_start_matches('/'));
                let boot = place.root.join(shown.trim_start_matches('/'));
                let cure = format!("cp -aT {} {} && sync", physical.display(), boot.display());
                found.push(Finding::bad(&shown, text, cure));
            }
            Err(error) => found.push(Finding::unknown(&shown, format!("it cannot be compared: {error}"), as_root())),
        }
    }
    if found.is_empty() {
        found.extend(of_tree(place, entry, path, layout));
    }
    found
}

/// The files are those of the tree: is the tree's kernel the one that was deployed?
fn of_tree(place: &Place, entry: &MenuEntry, path: &DeploymentPath, layout: &KernelLayout) -> Option<Finding> {
    let shown = format!("/{path}/{}", layout.directory);
    let opened = match deployment::open(&place.roots, path) {
        Ok(opened) => opened,
        Err(error) => return Some(Finding::unknown(&shown, error.to_string(), as_root())),
    };
    let deploy = "boot another entry; ostree fsck; ostree admin deploy REF".to_owned();
    match kernel_layout::check(opened, path, layout, &entry.link.bootcsum) {
        Ok(()) => None,
        Err(KernelError::System(error)) => Some(Finding::unknown(&shown, error.to_string(), as_root())),
        Err(_) => {
            let text =
                "kernel or initramfs have changed since they were deployed, in /boot and in the deployment".to_owned();
            Some(Finding::bad(&shown, text, deploy))
        }
    }
}

fn opened(
    place: &Place,
    path: &DeploymentPath,
    directory: &str,
    layout: &KernelLayout,
) -> Result<(OwnedFd, OwnedFd), SystemError> {
    let tree = kernel_layout::open_directory(&place.roots.sysroot, path, layout)?;
    let there = dir::open(place.roots.boot.as_fd(), directory, OFlags::RDONLY | OFlags::DIRECTORY);
    Ok((tree, system::Context::context(there, "open", format_args!("/boot/{directory}"))?))
}
