//! Deployments that are sealed in the guest, and a disk whose commit somebody has signed.

use std::path::Path;

use anyhow::Result;

use crate::cache::Cache;
use crate::catalogue;
use crate::guest::Guest;
use crate::namespace::{Namespace, quoted};
use crate::rootfs::Rootfs;
use crate::scenario::Scenario;
use crate::signer::Signer;

/// Where an initramfs has the keys that it trusts.
pub const KEYS: &str = "etc/ostree/initramfs-root-binding.key";

/// The branch that is deployed.
pub const BRANCH: &str = "firstroot/guest";

/// Another, at a newer commit of nearly the same tree, where there is one.
pub const NEWER: &str = "firstroot/newer";

/// The next boot demands a signature.
pub const SIGNED: &str = "--karg-append=ostree.prepare-root.composefs=signed";

const SEAL: &str = "
    set -e
    ostree --repo=/sysroot/ostree/repo config set ex-integrity.fsverity maybe
    mount -o remount,rw /sysroot
    ostree admin post-copy
    ostree admin deploy --os=default $arguments $branch
    deployment=$(ls -d /sysroot/ostree/deploy/default/deploy/*.1)
    # Of a file of the deployment, its object: the one with the same inode.
    object_of() { find /sysroot/ostree/repo/objects -samefile $deployment/$1; }
";

/// A script that seals all objects and deploys again, with `arguments` of `ostree admin deploy`, and goes on with `then`, where
/// `$deployment` is the new one, and `object_of FILE` the object of one of its files.
pub fn seal(arguments: &str, then: &str) -> String {
    format!("arguments={arguments}\nbranch={BRANCH}\n{SEAL}\n{then}")
}

/// The commit is signed before the first boot, in which it is to be sealed; the initramfs trusts the signer with the number 1.
pub fn signed_by(number: u8, guest: Guest) -> Result<Scenario> {
    trusting_the_first(guest, move |root| Signer::number(number).sign(root, BRANCH))
}

/// The same with a newer commit, both signed by whom the initramfs trusts.
pub fn signed_twice(guest: Guest) -> Result<Scenario> {
    trusting_the_first(guest, move |root| {
        let commit = format!(
            "mkdir -p /run/tree/usr/etc; echo newer >/run/tree/usr/etc/newer
             ostree --repo=/target/ostree/repo commit --branch={NEWER} --tree=ref={BRANCH} --tree=dir=/run/tree \
                 --owner-uid=0 --owner-gid=0 --generate-composefs-metadata --no-bindings"
        );
        let rootfs = Rootfs::of(guest, &Cache::open()?)?;
        let namespace = Namespace::of(&rootfs.path()).mounted(&format!("--rbind {}", quoted(root)), "/target");
        namespace.run(&commit)?;
        let signer = Signer::number(1);
        signer.sign(root, BRANCH)?;
        signer.sign(root, NEWER)
    })
}

fn trusting_the_first(guest: Guest, sign: impl Fn(&Path) -> Result<()> + 'static) -> Result<Scenario> {
    Ok(catalogue::scenario(&format!("{guest}:composefs-sealed"))?
        .with_disk_changed_by(sign)
        .initramfs_file(KEYS, &Signer::number(1).key_file()))
}
