//! The text and the names of boot loader entries: pure.

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::BootVersion;
use ostree_formats::entry_name::{EntryName, Tries};
use ostree_formats::kargs::KernelArguments;
use ostree_formats::repo_config::RepoConfig;
use ostree_sysroot::boot_names::{kernel_directory, overlay_file};
use ostree_sysroot::deployment::{Deployment, Tree, TreeFacts};

use super::list::ListedDeployment;
use super::written::Written;

/// The init of a deployment without an initramfs.
const PREPARE_ROOT: &str = "/usr/lib/ostree/ostree-prepare-root";

/// How the files of entries are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `ostree-N.conf`.
    #[default]
    ByNumber,
    /// `ostree-N-STATEROOT.conf`, as before libostree 2024.5.
    WithStateroot,
}

/// The entries of `list`, first to last.
pub(crate) fn entries(
    list: &[ListedDeployment],
    bootversion: BootVersion,
    config: &RepoConfig,
    naming: Naming,
) -> Vec<Written> {
    let first = list.first().map(|listed| &listed.deployment.path.stateroot);
    let several_stateroots = list.iter().any(|listed| Some(&listed.deployment.path.stateroot) != first);
    let entry = |(index, listed): (usize, &ListedDeployment)| {
        let place = MenuPlace { index, of: list.len(), several_stateroots };
        Written {
            path: format!("entries/{}", entry_name(listed, place, config, naming)),
            content: entry(listed, place, bootversion, config).to_text(),
        }
    };
    list.iter().enumerate().map(entry).collect()
}

/// Where in the menu.
#[derive(Clone, Copy)]
struct MenuPlace {
    index: usize,
    of: usize,
    several_stateroots: bool,
}

impl MenuPlace {
    /// Counts down: boot loaders take the highest first.
    fn number(self) -> u32 {
        u32::try_from(self.of - self.index).unwrap_or(u32::MAX)
    }
}

/// The name of the entry's file. A new entry starts with all tries; an existing one keeps its remaining tries.
fn entry_name(listed: &ListedDeployment, place: MenuPlace, config: &RepoConfig, naming: Naming) -> EntryName {
    let tries = match &listed.deployment.entry_name {
        _ if config.boot_counting_tries == 0 => None,
        None => Some(Tries { left: config.boot_counting_tries, done: None }),
        Some(name) => name.tries.as_ref().map(|tries| Tries { left: tries.left, done: Some(tries.done.unwrap_or(0)) }),
    };
    // If the environment requests the older names, they have the stateroot.
    let stateroot = listed.deployment.path.stateroot.as_str().to_owned();
    EntryName { number: place.number(), stateroot: (naming == Naming::WithStateroot).then_some(stateroot), tries }
}

fn entry(listed: &ListedDeployment, place: MenuPlace, bootversion: BootVersion, config: &RepoConfig) -> BlsEntry {
    let deployment = &listed.deployment;
    let mut entry = deployment.entry.clone();
    entry.set("version", &place.number().to_string());
    // The entry of a damaged deployment keeps its other keys: the tree does not have the data for new ones.
    if let Tree::Read(facts) = &deployment.tree {
        set_files(&mut entry, deployment, facts, config);
        entry.set("title", &title(deployment, &facts.title, place));
    }
    entry.set("options", &options(listed, bootversion).to_string());
    if place.index > 0 {
        let fields = config.bls_append_except_default.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        entry.set_all(&fields.collect::<Vec<_>>());
    }
    entry
}

/// Sets the keys for kernel, initramfs, device trees and Android image.
fn set_files(entry: &mut BlsEntry, deployment: &Deployment, facts: &TreeFacts, config: &RepoConfig) {
    let prefix = if config.bootprefix { "/boot" } else { "" };
    let directory = format!("/ostree/{}", kernel_directory(&deployment.path.stateroot, &deployment.bootcsum));
    let in_boot = |name: &str| format!("{prefix}{directory}/{name}");
    let kernel = &facts.kernel;
    entry.set("linux", &in_boot(&kernel.kernel.target));
    let (before, behind) = deployment.initrds_of_the_administrator();
    entry.remove("initrd");
    before.iter().for_each(|path| entry.push("initrd", path));
    if let Some(initramfs) = &kernel.initramfs {
        entry.push("initrd", &in_boot(&initramfs.target));
        for overlay in &deployment.overlay_initrds {
            entry.push("initrd", &format!("{prefix}/ostree/{}", overlay_file(overlay)));
        }
    }
    behind.iter().for_each(|path| entry.push("initrd", path));
    match &kernel.devicetree {
        Some(tree) if tree.is_directory => entry.set("fdtdir", &in_boot(&tree.target)),
        Some(tree) => entry.set("devicetree", &in_boot(&tree.target)),
        None => {}
    }
    if let Some(aboot) = &kernel.aboot {
        entry.set("aboot", &format!("{directory}/{}", aboot.target));
        entry.set("abootcfg", &format!("/{}/usr/lib/ostree-boot/aboot.cfg", deployment.path));
    } else {
        // libostree before 2026 wrote both keys into every entry; they name the deployment.
        for (key, file) in [("aboot", "aboot.img"), ("abootcfg", "aboot.cfg")] {
            let end = format!("/usr/lib/ostree-boot/{file}");
            if entry.get(key).is_some_and(|path| path.starts_with("/ostree/deploy/") && path.ends_with(&end)) {
                entry.set(key, &format!("/{}{end}", deployment.path));
            }
        }
    }
}

fn title(deployment: &Deployment, name: &str, place: MenuPlace) -> String {
    let version = deployment.version.as_deref().filter(|version| !version.is_empty() && !name.contains(version));
    let version = version.map(|version| format!(" {version}")).unwrap_or_default();
    let stateroot = if place.several_stateroots { format!("{}:", deployment.path.stateroot) } else { String::new() };
    format!("{name}{version} (ostree:{stateroot}{})", place.index)
}

fn options(listed: &ListedDeployment, bootversion: BootVersion) -> KernelArguments {
    let link = listed.bootlink(bootversion);
    let mut kargs = listed.deployment.kargs.clone();
    let has_our_init =
        kargs.get("init").is_some_and(|init| init.starts_with("/ostree/boot.") && init.ends_with(PREPARE_ROOT));
    match listed.deployment.has_initramfs() {
        Some(false) => kargs.set("init", &format!("/{link}{PREPARE_ROOT}")),
        // It was inherited from an older deployment without an initramfs.
        Some(true) if has_our_init => kargs.remove("init"),
        // The tree is damaged: keep the init of the entry, with the new boot link.
        None if has_our_init => kargs.set("init", &format!("/{link}{PREPARE_ROOT}")),
        Some(true) | None => {}
    }
    kargs.set("ostree", &format!("/{link}"));
    kargs
}
