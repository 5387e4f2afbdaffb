//! The list: entries of `/boot/loader`, and the files that they name.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::Checksum;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::projected_entry::{Token, in_boot};
use ostree_sysroot::deployment::{self, Deployment};
use ostree_sysroot::{Roots, Sysroot, boot_names, kernel_layout};
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use super::ReadError;
use crate::list::{List, Listed, Payload, PayloadFile};
use crate::target::{SUMS, TEMPORARY};

/// What makes a tree able to say that it has come up.
const BLESSES: &str = "usr/lib/systemd/system/firstroot-bless.service";

/// The token of a system: made from the UUID of its physical root's filesystem.
pub fn token(uuid: &str) -> Token {
    let hash = Sha256::digest(uuid.trim().to_ascii_lowercase().as_bytes());
    Token::from_hash(hash.first_chunk().copied().unwrap_or_default())
}

/// The list of a sysroot.
///
/// # Errors
/// A file that an entry names is not there, or cannot be read.
pub fn list(roots: &Roots, sysroot: &Sysroot, token: Token) -> Result<List, ReadError> {
    let (mut deployments, mut unreadable) = (Vec::new(), Vec::new());
    for (index, deployment) in sysroot.deployments.iter().enumerate() {
        let name = deployment.entry_name.as_ref().map(ToString::to_string).unwrap_or_default();
        let source = format!("/boot/loader/entries/{name}");
        match listed(roots, deployment, &source, deployment.path == sysroot.booted) {
            Ok(listed) => deployments.push(listed),
            // An old deployment that is damaged must not keep a new one away.
            Err(error @ (ReadError::NoFile { .. } | ReadError::Elsewhere { .. })) if index > 0 => {
                log::warn!("{error}: what the ESP has of this deployment stays as it is");
                unreadable.push(deployment.path.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(List { token, deployments, unreadable, tries: 0, trial_arguments: String::new() })
}

fn listed(roots: &Roots, deployment: &Deployment, source: &str, is_booted: bool) -> Result<Listed, ReadError> {
    let mut payloads = Vec::new();
    for key in ["linux", "initrd", "devicetree", "devicetree-overlay", "fdtdir"] {
        for path in deployment.entry.values(key).flat_map(|value| value.split(' ')).filter(|path| !path.is_empty()) {
            let payload = payload(roots, source, in_boot(path).trim_start_matches('/'))?;
            if !payloads.contains(&payload) {
                payloads.push(payload);
            }
        }
    }
    let tree = deployment::open(roots, &deployment.path)?;
    let can_bless = match dir::open(&tree, BLESSES, OFlags::PATH) {
        Ok(_) => true,
        Err(Errno::NOENT | Errno::NOTDIR) => false,
        Err(error) => return Err(error).context("look up", format_args!("/{}/{BLESSES}", deployment.path))?,
    };
    let (deployment, mut entry) = (deployment.path.clone(), deployment.entry.clone());
    drop_init_of_unified_kernel(roots, &mut entry)?;
    Ok(Listed { deployment, entry, payloads, can_bless, is_booted })
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

/// A deployment that is not in the list yet: what its kernel will be in `/boot`.
///
/// # Errors
/// A file cannot be read.
pub fn of_tree(roots: &Roots, deployment: &Deployment) -> Result<Listed, ReadError> {
    let mut files = Vec::new();
    if let Some(kernel) = deployment.kernel() {
        let directory = kernel_layout::open_directory(&roots.sysroot, &deployment.path, kernel)?;
        for file in kernel.files() {
            let shown = format!("/{}/{}/{}", deployment.path, kernel.directory, file.source);
            if !file.is_directory {
                let found = dir::open(&directory, &file.source, OFlags::PATH).and_then(dir::stat_fd);
                files.push(PayloadFile {
                    path: file.target.clone(),
                    size: found.context("read the attributes of", shown)?.size,
                });
                continue;
            }
            let opened =
                dir::open(&directory, &file.source, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
            let below = files_below(&opened, &shown)?;
            files.extend(
                below.into_iter().map(|one| PayloadFile { path: format!("{}/{}", file.target, one.path), ..one }),
            );
        }
    }
    files.sort();
    let path = format!("ostree/{}", boot_names::kernel_directory(&deployment.path.stateroot, &deployment.bootcsum));
    Ok(Listed {
        deployment: deployment.path.clone(),
        entry: deployment.entry.clone(),
        payloads: vec![Payload::Directory { path, files }],
        can_bless: false,
        is_booted: false,
    })
}

/// The payload that a file of `/boot` belongs to.
fn payload(roots: &Roots, entry: &str, path: &str) -> Result<Payload, ReadError> {
    let elsewhere = || ReadError::Elsewhere { entry: entry.to_owned(), path: format!("/boot/{path}") };
    let no_file = || ReadError::NoFile { entry: entry.to_owned(), path: path.to_owned() };
    let (_, name) = path.split_once("ostree/").filter(|(before, _)| before.is_empty()).ok_or_else(elsewhere)?;
    let (directory, file) = name.split_once('/').ok_or_else(elsewhere)?;
    if file.is_empty()
        || [directory, file].iter().any(|part| part.split('/').any(|name| matches!(name, "" | "." | "..")))
    {
        return Err(elsewhere());
    }
    if boot_names::is_kernel_directory(directory) {
        let directory = format!("ostree/{directory}");
        let files = files(roots, &directory)?;
        let below = format!("{file}/");
        if !files.iter().any(|found| found.path == file || found.path.starts_with(&below)) {
            return Err(no_file());
        }
        return Ok(Payload::Directory { path: directory, files });
    }
    let is_overlay = directory == "initramfs-overlays"
        && file.strip_suffix(".img").is_some_and(|sum| sum.parse::<Checksum>().is_ok());
    if !is_overlay {
        return Err(elsewhere());
    }
    match dir::open(&roots.boot, path, OFlags::PATH).and_then(dir::stat_fd) {
        Ok(stat) if stat.kind == Kind::File => {
            Ok(Payload::File(PayloadFile { path: path.to_owned(), size: stat.size }))
        }
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(no_file()),
        Err(error) => Err(error).context("read the attributes of", format_args!("/boot/{path}"))?,
    }
}

/// All files of a kernel's directory, sorted by their paths.
fn files(roots: &Roots, directory: &str) -> Result<Vec<PayloadFile>, ReadError> {
    let shown = format!("/boot/{directory}");
    let opened = dir::if_there(dir::open(&roots.boot, directory, OFlags::RDONLY | OFlags::DIRECTORY));
    match opened.context("open", shown.as_str())? {
        Some(opened) => Ok(files_below(&opened, &shown)?),
        None => Ok(Vec::new()),
    }
}

fn files_below(opened: &OwnedFd, shown: &str) -> Result<Vec<PayloadFile>, SystemError> {
    let mut walk = tree::TreeWalk::new(opened).context("list", shown)?;
    let mut files = Vec::new();
    while let Some(entry) = walk.next_entry().context("list", shown)? {
        let Ok(path) = String::from_utf8(entry.path) else { continue };
        if path.ends_with(TEMPORARY) || path == SUMS {
            continue;
        }
        // A link is what it leads to: a FAT has none.
        let found = dir::open(opened.as_fd(), &path, OFlags::PATH).and_then(dir::stat_fd);
        match dir::if_there(found).context("read the attributes of", format_args!("{shown}/{path}"))? {
            Some(stat) if stat.kind == Kind::File => files.push(PayloadFile { path, size: stat.size }),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EFI program with these sections, of which only the head is read.
    fn image(sections: [&str; 2]) -> Vec<u8> {
        let mut bytes =
            [b"MZ".as_slice(), &[0; 58], &[0x40, 0, 0, 0], b"PE\0\0", &[0x64, 0x86, 2, 0], &[0; 12]].concat();
        bytes.extend(
            [&[240, 0, 0, 0, 0x0b, 2], [0; 66].as_slice(), &[10, 0], &[0; 38], &[16, 0, 0, 0], &[0; 128]].concat(),
        );
        for name in sections {
            let padded = [name.as_bytes(), &[0; 16]].concat();
            bytes.extend([&padded[..16], &[5, 0, 0, 0], &[0; 20]].concat());
        }
        bytes
    }

    #[test]
    fn libostrees_init_is_dropped_for_a_kernel_with_an_initramfs_in_it() {
        let root = tempfile::tempdir().unwrap();
        for path in ["boot", "sysroot/boot/ostree/os-a"] {
            std::fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let roots = Roots::at(root.path()).unwrap();
        let init = "init=/ostree/boot.0/os/a/0/usr/lib/ostree/ostree-prepare-root";
        let options = |kernel: &[u8], options: &str| {
            std::fs::write(root.path().join("sysroot/boot/ostree/os-a/vmlinuz"), kernel).unwrap();
            let text = format!("linux /boot/ostree/os-a/vmlinuz\noptions {options}\n");
            let mut entry = BlsEntry::parse(text.as_bytes()).unwrap();
            drop_init_of_unified_kernel(&roots, &mut entry).unwrap();
            entry.all_options()
        };
        let (unified, plain) = (image([".linux", ".initrd"]), image([".text", ".data"]));
        assert_eq!(options(&unified, &format!("rw {init} quiet")), "rw quiet");
        assert_eq!(options(&plain, &format!("rw {init} quiet")), format!("rw {init} quiet"));
        // A person has asked for this one.
        assert_eq!(options(&unified, "rw init=/bin/sh"), "rw init=/bin/sh");
    }
}
