//! The kernel of a system with one deployment, with more in its initramfs: as if it had been deployed so.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::cpio;
use crate::disk::STATEROOT;
use crate::sysroot::Sysroot;

/// Appends an archive, whose files win, to the initramfs of the deployment and to that in `/boot`. The kernel gets the name of its new
/// content, and the boot link and the entry, too.
pub(crate) fn append_to_initramfs(sysroot: &Sysroot<'_>, archive: &[u8]) -> Result<()> {
    let root = sysroot.path();
    let modules = only_one(&sysroot.deployment()?.join("usr/lib/modules"), |path| path.join("vmlinuz").exists())?;
    let in_boot = only_one(&root.join("boot/ostree"), |path| path.is_dir())?;
    let initramfs = modules.join("initramfs.img");
    let mut bytes = read(&initramfs)?;
    cpio::pad(&mut bytes);
    bytes.extend_from_slice(archive);
    for path in [initramfs, only_one(&in_boot, |path| name(path).starts_with("initramfs"))?] {
        // A new file: the old one is an object of the repository, too.
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        fs::write(&path, &bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    let hash = Sha256::new().chain_update(read(&modules.join("vmlinuz"))?).chain_update(&bytes).finalize();
    let new: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let old = name(&in_boot).split_once('-').map(|(_, old)| old.to_owned()).context("no bootcsum")?;
    rename(&in_boot, &format!("{STATEROOT}-{new}"))?;
    let links = only_one(&root.join("ostree"), |path| name(path).starts_with("boot.") && !path.is_symlink())?;
    rename(&links.join(STATEROOT).join(&old), &new)?;
    let entry = only_one(&root.join("boot/loader/entries"), |_| true)?;
    let text = String::from_utf8(read(&entry)?).context("the entry is no text")?;
    fs::write(&entry, text.replace(&old, &new)).with_context(|| format!("writing {}", entry.display()))
}

fn only_one(directory: &Path, is_it: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_it(path)).collect();
    ensure!(paths.len() == 1, "{}: {paths:?}", directory.display());
    paths.pop().context("there is one")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn rename(path: &Path, name: &str) -> Result<()> {
    fs::rename(path, path.with_file_name(name)).with_context(|| format!("renaming {}", path.display()))
}
