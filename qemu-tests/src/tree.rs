//! A guest as an OSTree commit.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::{Artefact, Cache, Recipe};
use crate::guest::Guest;
use crate::initramfs;
use crate::namespace::Namespace;
use crate::package::{Package, Provider};
use crate::rootfs::Rootfs;

const MAKE_TREE: &str = include_str!("../guest/make-tree.sh");

/// Behind it, for a guest with SELinux: a second commit on a branch of its own.
const COMMIT_NEWER: &str = include_str!("../guest/commit-newer.sh");

/// The branch that the commit is on.
pub(crate) const BRANCH: &str = "firstroot/guest";

/// A repository with one commit: the guest, with an initramfs and a prepare-root of `provider`'s. Everything else in it
/// (generator, remount, finalization) is the peer's.
#[derive(Clone, Debug)]
pub struct Tree {
    rootfs: Rootfs,
    artefact: Artefact,
}

impl Tree {
    /// Builds it with the guest's own `ostree` if the cache has none.
    pub fn of(guest: Guest, provider: Provider, cache: &Cache) -> Result<Tree> {
        let rootfs = Rootfs::of(guest, cache)?;
        let initramfs = initramfs::of(&rootfs, provider, cache)?;
        let make = format!("{MAKE_TREE}{}", if guest.has_selinux() { COMMIT_NEWER } else { "" });
        let recipe =
            Recipe::new(include_str!("tree.rs")).with("make", &make).made_from(rootfs.artefact()).made_from(&initramfs);
        let artefact = cache.artefact(&format!("tree-{guest}-{}", provider.name()), &recipe, |directory| {
            let kernel_version = rootfs.kernel_version()?;
            let tree = match provider {
                Provider::Ours => format!("{}:{}", Package::find()?.path().display(), rootfs.path().display()),
                Provider::Peer => rootfs.path().display().to_string(),
            };
            // The tree is a second overlay, beside the one that the program runs in: it is changed, and not kept.
            let overlay =
                format!("-t overlay -o 'lowerdir={tree}',upperdir=$scratch/tree-upper,workdir=$scratch/tree-work tree");
            Namespace::of(&rootfs.path())
                .prepared_by("mkdir \"$scratch/tree-upper\" \"$scratch/tree-work\"")
                .mounted(&overlay, "/tree")
                .bound(initramfs.path(), "/initramfs")
                .bound(directory, "/repo")
                .run(&format!("kver='{kernel_version}'\nbranch='{BRANCH}'\n{make}"))
                .map(drop)
        })?;
        Ok(Tree { rootfs, artefact })
    }

    /// The root filesystem that it was made of.
    pub fn rootfs(&self) -> &Rootfs {
        &self.rootfs
    }

    /// The repository.
    pub fn repository(&self) -> PathBuf {
        self.artefact.path().to_path_buf()
    }

    /// The artefact, for recipes.
    pub fn artefact(&self) -> &Artefact {
        &self.artefact
    }
}
