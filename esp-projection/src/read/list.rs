//! The list: entries of `/boot/loader`, and the files that they name.

use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::projected_entry::{Token, in_boot};
use ostree_sysroot::deployment::{self, Deployment};
use ostree_sysroot::{Roots, Sysroot, boot_names, kernel_layout};
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::{Context, SystemError, dir};

use super::ReadError;
use super::images::{self, Image, Images};
use super::payload::payload;
use crate::list::{List, Listed, Payload, union};

/// What makes a tree able to say that it has come up.
const BLESSES: &str = "usr/lib/systemd/system/firstroot-bless.service";

/// The token of a system: made from the UUID of its physical root's filesystem.
pub fn token(uuid: &str) -> Token {
    let hash = Sha256::digest(uuid.trim().to_ascii_lowercase().as_bytes());
    Token::from_hash(hash.first_chunk().copied().unwrap_or_default())
}

/// The keys of what an image is booted in place of, and the others whose values are files.
const OF_KERNEL: [&str; 2] = ["linux", "initrd"];
const OTHERS: [&str; 3] = ["devicetree", "devicetree-overlay", "fdtdir"];

/// The list of a sysroot.
///
/// # Errors
/// A file that an entry names is not there, or cannot be read, or the default's image cannot boot it.
pub fn list(roots: &Roots, sysroot: &Sysroot, token: Token, images: &mut Images) -> Result<List, ReadError> {
    let (mut deployments, mut unreadable) = (Vec::new(), Vec::new());
    for (index, deployment) in sysroot.deployments.iter().enumerate() {
        let name = deployment.entry_name.as_ref().map(ToString::to_string).unwrap_or_default();
        let source = format!("/boot/loader/entries/{name}");
        match listed(roots, deployment, &source, deployment.path == sysroot.booted, images) {
            Ok(listed) => deployments.push(listed),
            // An old deployment that is damaged must not keep a new one away.
            Err(error) if index > 0 && error.is_of_one_deployment() => {
                log::warn!("{error}: what the ESP has of this deployment stays as it is");
                unreadable.push(deployment.path.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(List {
        token,
        deployments,
        unreadable,
        staged: None,
        tries: 0,
        trial_arguments: String::new(),
        is_further: false,
    })
}

fn listed(
    roots: &Roots,
    deployment: &Deployment,
    source: &str,
    is_booted: bool,
    images: &mut Images,
) -> Result<Listed, ReadError> {
    let (mut entry, mut payloads) = (deployment.entry.clone(), Vec::new());
    let image = image(roots, deployment, images)?;
    let keys = if image.is_some() { &[][..] } else { &OF_KERNEL };
    for path in keys.iter().chain(&OTHERS).flat_map(|key| paths(&deployment.entry, key)) {
        payloads.push(payload(roots, source, path, image.is_some())?);
    }
    match image {
        Some((directory, image)) => {
            entry.set("linux", &format!("/{directory}/{}", image.name));
            entry.remove("initrd");
            payloads.push(Payload::Directory { path: directory, files: image.files });
        }
        None => drop_init_of_unified_kernel(roots, &mut entry)?,
    }
    let can_bless = can_bless(roots, &deployment.path)?;
    Ok(Listed { deployment: deployment.path.clone(), entry, payloads: union(&payloads), can_bless, is_booted })
}

/// The files in `/boot` that a key names.
fn paths<'a>(entry: &'a BlsEntry, key: &str) -> impl Iterator<Item = &'a str> {
    let all = entry.values(key).flat_map(|value| value.split(' ')).filter(|path| !path.is_empty());
    all.map(|path| in_boot(path).trim_start_matches('/'))
}

/// The image that is beside the kernel and the initramfs that an entry names, with the directory that these are in.
fn image(roots: &Roots, deployment: &Deployment, images: &mut Images) -> Result<Option<(String, Image)>, ReadError> {
    let linux = paths(&deployment.entry, "linux").last().unwrap_or_default();
    let Some((directory, _)) = linux.rsplit_once('/') else { return Ok(None) };
    let is_own = |path: &str| path.rsplit_once('/').is_some_and(|(parent, _)| parent == directory);
    let is_kernels = directory.strip_prefix("ostree/").is_some_and(boot_names::is_kernel_directory);
    let has_initramfs = paths(&deployment.entry, "initrd").any(is_own);
    let Some(modules) = images::beside(linux).filter(|_| is_kernels && has_initramfs) else { return Ok(None) };
    match images.of(roots, &deployment.path, &modules)? {
        Some(image) if !paths(&deployment.entry, "initrd").all(is_own) => {
            Err(ReadError::OverlayWithImage { image: image.source })
        }
        image => Ok(image.map(|image| (directory.to_owned(), image))),
    }
}

/// Whether the tree of a deployment can say that it has come up.
///
/// # Errors
/// It cannot be opened.
pub fn can_bless(roots: &Roots, deployment: &DeploymentPath) -> Result<bool, SystemError> {
    match dir::open(deployment::open(roots, deployment)?, BLESSES, OFlags::PATH) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).context("look up", format_args!("/{deployment}/{BLESSES}")),
    }
}

/// libostree takes a kernel with an initramfs in it for one without, and has it start the program on the disk: that would be the
/// initramfs' own init.
fn drop_init_of_unified_kernel(roots: &Roots, entry: &mut BlsEntry) -> Result<(), ReadError> {
    let mut arguments = KernelArguments::parse(&entry.all_options());
    let is_libostrees = |init: &str| init.starts_with("/ostree/boot.") && init.ends_with("/ostree-prepare-root");
    let Some(linux) = entry.get("linux").filter(|_| arguments.get("init").is_some_and(is_libostrees)) else {
        return Ok(());
    };
    let path = in_boot(linux).trim_start_matches('/');
    if kernel_layout::unified_at(&roots.boot, path).context("read the kernel", format_args!("/boot/{path}"))?.is_some()
    {
        arguments.remove("init");
        entry.set("options", &arguments.to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
