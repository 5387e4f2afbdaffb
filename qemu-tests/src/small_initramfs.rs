//! Initramfs made by hand: busybox, a few kernel modules, a script.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cpio::Archive;
use crate::disk::Filesystem;
use crate::namespace::Namespace;
use crate::package::{INSTALLED_PREPARE_ROOT, PREPARE_ROOT, Package};
use crate::rootfs::Rootfs;

const SCRIPT_INIT: &str = include_str!("../guest/script-init.sh");
const NO_INITRAMFS_INIT: &str = include_str!("../guest/no-initramfs-init.sh");

/// A prepare-root in an initramfs without systemd, whose script calls it. `package` is ours; without it, it is the peer's
/// with its libraries.
pub fn of_a_script(rootfs: &Rootfs, package: Option<&Package>) -> Result<Vec<u8>> {
    // virtio_pci is a module in Debian 12, and built in later.
    let drivers = ["virtio_pci", "virtio_blk", "xfs", "btrfs", "overlay", "erofs", "loop"];
    let mut archive = with_busybox(rootfs, &drivers)?;
    let libraries = if package.is_some() { Vec::new() } else { libraries_of(rootfs)? };
    for library in libraries {
        archive = archive.file(&library, 0o755, &read(&rootfs.path().join(library.trim_start_matches('/')))?);
    }
    let binary = match package {
        Some(package) => read(&package.path().join(INSTALLED_PREPARE_ROOT))?,
        None => read(&rootfs.path().join(PREPARE_ROOT))?,
    };
    Ok(archive.file(PREPARE_ROOT, 0o755, &binary).file("init", 0o755, SCRIPT_INIT.as_bytes()).finish())
}

/// The shared libraries of the peer's, and the dynamic loader, as ldd(1) names them.
fn libraries_of(rootfs: &Rootfs) -> Result<Vec<String>> {
    let list = Namespace::of(&rootfs.path()).run(&format!("ldd /{PREPARE_ROOT}"))?;
    let paths = list.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(str::to_owned).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// One that does what a kernel without initramfs does: mounts the root and starts `init=`.
pub fn that_is_none(rootfs: &Rootfs, filesystem: Filesystem) -> Result<Vec<u8>> {
    // overlay would be loaded by the kernel itself, by /sbin/modprobe, which a physical root does not have.
    let drivers = ["virtio_blk", filesystem.name(), "overlay", "erofs", "loop"];
    Ok(with_busybox(rootfs, &drivers)?.file("init", 0o755, NO_INITRAMFS_INIT.as_bytes()).finish())
}

/// One whose init is this script, with some files and the modules of `drivers`. `/bin/busybox` is its shell.
pub fn with_files(rootfs: &Rootfs, drivers: &[&str], init: &str, files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let archive = with_busybox(rootfs, drivers)?.file("init", 0o755, init.as_bytes());
    Ok(files.iter().fold(archive, |archive, (path, content)| archive.file(path, 0o755, content)).finish())
}

fn with_busybox(rootfs: &Rootfs, drivers: &[&str]) -> Result<Archive> {
    let root = rootfs.path();
    let busybox = read(&root.join("usr/bin/busybox"))?;
    let mut archive =
        Archive::new().character_device("dev/console", 5, 1).file("bin/busybox", 0o755, &busybox).directory("modules");
    let modules = root.join("usr/lib/modules").join(rootfs.kernel_version()?);
    let dependencies = fs::read_to_string(modules.join("modules.dep")).context("reading modules.dep")?;
    for (number, path) in load_order(&dependencies, drivers).iter().enumerate() {
        let module = read(&modules.join(path))?;
        archive = archive.file(&format!("modules/{number:02}-{}", file_name(path)), 0o644, &module);
    }
    Ok(archive)
}

/// Paths of the modules of `drivers` in the order in which they can be loaded. A driver that is not listed is built in.
fn load_order(dependencies: &str, drivers: &[&str]) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for driver in drivers {
        let name = format!("{driver}.ko");
        let line =
            dependencies.lines().find_map(|line| line.split_once(':').filter(|(path, _)| file_name(path) == name));
        let Some((path, needs)) = line else { continue };
        // depmod lists what is needed last first.
        for module in needs.split_whitespace().rev().chain([path]) {
            if !order.iter().any(|loaded| loaded == module) {
                order.push(module.to_owned());
            }
        }
    }
    order
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let dependencies = "k/fs/xfs.ko: k/b.ko k/a.ko\nk/virtio_blk.ko:\nk/fs/btrfs.ko: k/c.ko k/a.ko\n";
        let order = load_order(dependencies, &["virtio_blk", "xfs", "btrfs", "ext4"]);
        assert_eq!(order, ["k/virtio_blk.ko", "k/a.ko", "k/b.ko", "k/fs/xfs.ko", "k/c.ko", "k/fs/btrfs.ko"]);
    }
}
