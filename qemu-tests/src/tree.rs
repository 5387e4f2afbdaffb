//! A guest as an OSTree commit.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cache::{Artefact, Cache, Recipe};
use crate::dracut;
use crate::guest::Guest;
use crate::initramfs;
use crate::namespace::Namespace;
use crate::package::{Package, Provider, built_packages};
use crate::rootfs::Rootfs;

const MAKE_TREE: &str = include_str!("../guest/make-tree.sh");

/// Behind it, for a guest with SELinux: a second commit on a branch of its own.
const COMMIT_NEWER: &str = include_str!("../guest/commit-newer.sh");

/// Before it, and behind it, for a guest with a package of ours.
const INSTALL_PACKAGE: &str = include_str!("../guest/install-package.sh");
/// Outside, before both, by the host's rpm.
const INSTALL_RPM: &str = r#"
in_root() { rpm --root "$root" --define '_dbpath /run/rpm' "$@"; }
in_root --initdb
in_root --install --nodeps "$root"/packages/firstroot-[0-9]*.rpm
in_root --query --list firstroot >"$root/run/files"
"#;
const REMOVE_PACKAGE: &str = include_str!("../guest/remove-package.sh");

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
        if let Provider::Deb | Provider::Rpm = provider {
            return Tree::with_package(rootfs, provider, cache);
        }
        let initramfs = initramfs::of(&rootfs, provider, cache)?;
        let make = format!("{MAKE_TREE}{}", if guest.has_selinux() { COMMIT_NEWER } else { "" });
        let recipe =
            Recipe::new(include_str!("tree.rs")).with("make", &make).made_from(rootfs.artefact()).made_from(&initramfs);
        let artefact = cache.artefact(&format!("tree-{guest}-{}", provider.name()), &recipe, |directory| {
            let kernel_version = rootfs.kernel_version()?;
            let tree = match provider {
                Provider::Ours => format!("{}:{}", Package::find()?.path().display(), rootfs.path().display()),
                Provider::Peer | Provider::Deb | Provider::Rpm => rootfs.path().display().to_string(),
            };
            beside_a_tree(&rootfs, &tree)
                .bound(initramfs.path(), "/initramfs")
                .bound(directory, "/repo")
                .run(&format!("kver='{kernel_version}'\nbranch='{BRANCH}'\n{make}"))
                .map(drop)
        })?;
        Ok(Tree { rootfs, artefact })
    }

    /// Made with a package that is installed as users do. A second branch has the guest after the package has been removed.
    fn with_package(rootfs: Rootfs, provider: Provider, cache: &Cache) -> Result<Tree> {
        let packages = built_packages()?;
        let script = format!("{INSTALL_PACKAGE}{MAKE_TREE}{REMOVE_PACKAGE}");
        let dracut = dracut::command(&rootfs.kernel_version()?, "");
        let mut recipe = Recipe::new(include_str!("tree.rs"))
            .with("make", &script)
            .with("dracut", &dracut)
            .made_from(rootfs.artefact());
        for path in &packages {
            recipe = recipe.with("package", std::fs::read(path)?);
        }
        let format = provider.name();
        let name = format!("tree-{}-{format}", rootfs.guest());
        let artefact = cache.artefact(&name, &recipe, |directory| {
            let kernel_version = rootfs.kernel_version()?;
            let first = packages.first().context("no package was built")?;
            let packages = first.parent().context("where packages are")?;
            let namespace = beside_a_tree(&rootfs, &rootfs.path().display().to_string()).bound(packages, "/packages");
            let namespace = match provider {
                // The guest has no rpm.
                Provider::Rpm => namespace.prepared_by(INSTALL_RPM),
                _ => namespace,
            };
            namespace
                .bound(directory, "/repo")
                .run(&format!(
                    "kver='{kernel_version}'\nbranch='{BRANCH}'\nformat={format}\n\
                     dracut_makes_the_initramfs() {{\n{dracut}\n}}\n{script}"
                ))
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

/// The guest's own root filesystem, and at `/tree` another view of `layers`: it is changed, and not kept.
fn beside_a_tree(rootfs: &Rootfs, layers: &str) -> Namespace {
    let overlay =
        format!("-t overlay -o 'lowerdir={layers}',upperdir=$scratch/tree-upper,workdir=$scratch/tree-work tree");
    Namespace::of(&rootfs.path())
        .prepared_by("mkdir \"$scratch/tree-upper\" \"$scratch/tree-work\"")
        .mounted(&overlay, "/tree")
}
