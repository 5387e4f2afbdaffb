//! Initramfs made by the guest's own dracut.

use anyhow::Result;

use crate::cache::{Artefact, Cache, Recipe};
use crate::namespace::Namespace;
use crate::package::{Package, Provider};
use crate::rootfs::Rootfs;

/// dracut's modules that no guest needs: each costs time where instructions are emulated. The module `btrfs` loads its driver
/// in every boot, to look for filesystems of several disks; the kernel loads the driver itself to mount one.
const OMITTED: &str = "btrfs hwdb kernel-modules kernel-modules-extra lunmask nvdimm overlay-root overlayfs qemu resume \
                       systemd-hostnamed systemd-pcrphase systemd-portabled systemd-resolved systemd-timedated \
                       systemd-timesyncd virtfs virtiofs";

/// Kernel modules that guests need, whether the module `ostree` asks for them or not, except for what is its own to ask for.
const DRIVERS: &str = "virtio_blk ext4 xfs btrfs";

/// Leaves out systemd, which the configuration of the module asks for.
const WITHOUT_SYSTEMD: &str = "--omit 'systemd systemd-initrd dracut-systemd'";

/// Where the root filesystem hides generators of systemd's that no guest needs; the initramfs hides the same ones.
const GENERATORS: &str = "/etc/systemd/system-generators";

/// The initramfs of `rootfs`, with the peer's dracut module or with ours.
pub fn of(rootfs: &Rootfs, provider: Provider, cache: &Cache) -> Result<Artefact> {
    build(rootfs, provider, provider.name(), "", cache)
}

/// One whose init is dracut's script, with our module: the peer's needs systemd.
pub fn without_systemd(rootfs: &Rootfs, cache: &Cache) -> Result<Artefact> {
    build(rootfs, Provider::Ours, "ours-without-systemd", WITHOUT_SYSTEMD, cache)
}

fn build(rootfs: &Rootfs, provider: Provider, name: &str, options: &str, cache: &Cache) -> Result<Artefact> {
    let mut recipe = Recipe::new(include_str!("dracut.rs")).made_from(rootfs.artefact()).with("options", options);
    let mut namespace = Namespace::of(&rootfs.path());
    if provider == Provider::Ours {
        let package = Package::find()?;
        recipe = package.add_to(recipe)?;
        namespace = namespace.overlaid_with(package.path());
    }
    let name = format!("initramfs-{}-{name}", rootfs.guest());
    cache.artefact(&name, &recipe, |directory| {
        let kernel_version = rootfs.kernel_version()?;
        namespace.bound(directory, "/out").run(&command(&kernel_version, options))?;
        Ok(())
    })
}

/// A shell command that makes `/out/initramfs.img` for the kernel.
pub(crate) fn command(kernel_version: &str, options: &str) -> String {
    format!(
        "mkdir -p /tmp/hidden; cp -a {GENERATORS}/systemd-* /tmp/hidden/
         dracut --force --no-hostonly --no-hostonly-cmdline --reproducible --compress cat \
             --add ostree --omit '{OMITTED}' --add-drivers '{DRIVERS}' --include /tmp/hidden {GENERATORS} {options} --kver '{kernel_version}' \
             /out/initramfs.img >/out/dracut.log 2>&1 || {{ cat /out/dracut.log; exit 1; }}"
    )
}
