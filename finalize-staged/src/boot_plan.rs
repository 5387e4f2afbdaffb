//! What is written for a list of deployments, and which swap makes it count: pure.

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::Checksum;
use ostree_formats::entry_name::{EntryName, Tries};
use ostree_formats::kargs::KernelArguments;
use ostree_formats::repo_config::RepoConfig;
use serde::Serialize;

use crate::deployment::{Deployment, Tree, TreeFacts};
use crate::deployment_list::{self, Listed};
use crate::foreign::{self, Fate};
use crate::sysroot::Sysroot;

/// What a deployment without an initramfs boots with.
const PREPARE_ROOT: &str = "/usr/lib/ostree/ostree-prepare-root";

/// Which of the links is changed, once all that it leads to is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Swap {
    /// `boot/loader`: entries and boot links of the other bootversion.
    Loader,
    /// `ostree/boot.N`: boot links of the other subbootversion. Nothing that a boot loader reads changes.
    Bootlinks,
}

/// A file in `loader.N`, or a boot link in `ostree/boot.N.S`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Written {
    /// Relative to that directory.
    pub(crate) path: String,
    /// Content, or the link's target.
    pub(crate) content: String,
}

/// A list of deployments as it will be on the disk.
#[derive(Debug, Clone)]
pub(crate) struct BootPlan {
    /// How it comes to count.
    pub(crate) swap: Swap,
    /// After the swap.
    pub(crate) bootversion: BootVersion,
    /// After the swap.
    pub(crate) subbootversion: BootVersion,
    /// In the order of the menu.
    pub(crate) list: Vec<Listed>,
    /// With [`Swap::Loader`].
    pub(crate) entries: Vec<Written>,
    /// What becomes of the files of others, with [`Swap::Loader`].
    pub(crate) foreign: Fate,
    /// The boot links.
    pub(crate) links: Vec<Written>,
    /// Overlay initrds that must be in `/boot`.
    pub(crate) overlays: Vec<Checksum>,
}

/// Plans `list` for a disk that is as `sysroot` says.
pub(crate) fn plan(sysroot: &Sysroot, list: Vec<Listed>) -> BootPlan {
    // With the boot links alone the bootversion stays, and with it most links of entries that others wrote.
    let links_only = fate(sysroot, &list, sysroot.bootversion, &[]);
    let new_entries = needs_new_entries(sysroot, &list) || links_only.needs_new_entries();
    let swap = if new_entries { Swap::Loader } else { Swap::Bootlinks };
    let (bootversion, subbootversion) = match swap {
        // As libostree begins: of the other bootversion there is nothing, or what an interrupted run has left.
        Swap::Loader => (sysroot.bootversion.other(), BootVersion::One),
        Swap::Bootlinks => (sysroot.bootversion, sysroot.subbootversion.other()),
    };
    let (entries, foreign) = match swap {
        Swap::Loader => {
            let entries = entries(&list, bootversion, sysroot);
            let foreign = fate(sysroot, &list, bootversion, &entries);
            (entries, foreign)
        }
        Swap::Bootlinks => (Vec::new(), Fate::default()),
    };
    let links = list.iter().map(|listed| bootlink(listed, bootversion)).collect();
    let mut overlays: Vec<Checksum> =
        list.iter().flat_map(|listed| listed.deployment.overlay_initrds.iter().cloned()).collect();
    overlays.sort_unstable();
    overlays.dedup();
    BootPlan { swap, bootversion, subbootversion, list, entries, foreign, links, overlays }
}

/// What becomes of the files of others when `list` counts under `bootversion`, with `entries` beside them.
fn fate(sysroot: &Sysroot, list: &[Listed], bootversion: BootVersion, entries: &[Written]) -> Fate {
    let bootlink = |path: &_| {
        let listed = list.iter().find(|listed| listed.deployment.path == *path);
        listed.map(|listed| listed.bootlink(bootversion))
    };
    foreign::decide(&sysroot.foreign, bootlink, |path| entries.iter().any(|entry| entry.path == path))
}

/// Whether anything that a boot loader reads is to be different.
fn needs_new_entries(sysroot: &Sysroot, list: &[Listed]) -> bool {
    let current = deployment_list::current(sysroot);
    current.len() != list.len()
        || !current.iter().zip(list).all(|(one, other)| boots_the_same(&one.deployment, &other.deployment))
}

fn boots_the_same(current: &Deployment, wanted: &Deployment) -> bool {
    // Of one that is new the entry has its further keys only.
    let further_keys_are_there =
        wanted.entry.fields().iter().all(|(key, value)| current.entry.values(key).any(|other| other == value));
    current.bootcsum == wanted.bootcsum
        && current.overlay_initrds == wanted.overlay_initrds
        && current.kargs.without_ostree() == wanted.kargs.without_ostree()
        && current.version == wanted.version
        && current.path.stateroot == wanted.path.stateroot
        && (wanted.entry_name.is_some() || further_keys_are_there)
}

fn bootlink(listed: &Listed, bootversion: BootVersion) -> Written {
    let link = listed.bootlink(bootversion);
    let path = &listed.deployment.path;
    Written {
        path: format!("{}/{}/{}", link.stateroot, link.bootcsum, link.bootserial),
        content: format!("../../../deploy/{}/deploy/{}", path.stateroot, path.id),
    }
}

fn entries(list: &[Listed], bootversion: BootVersion, sysroot: &Sysroot) -> Vec<Written> {
    let first = list.first().map(|listed| &listed.deployment.path.stateroot);
    let several_stateroots = list.iter().any(|listed| Some(&listed.deployment.path.stateroot) != first);
    let entry = |(index, listed): (usize, &Listed)| {
        let place = Place { index, of: list.len(), several_stateroots };
        Written {
            path: format!("entries/{}", entry_name(listed, place, sysroot)),
            content: entry(listed, place, bootversion, &sysroot.config).to_text(),
        }
    };
    list.iter().enumerate().map(entry).collect()
}

/// Where in the menu.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    of: usize,
    several_stateroots: bool,
}

impl Place {
    /// Counts down: boot loaders take the highest first.
    fn number(self) -> u32 {
        u32::try_from(self.of - self.index).unwrap_or(u32::MAX)
    }
}

/// The name of its file. A new entry begins with all its tries, another one keeps those that it has left.
fn entry_name(listed: &Listed, place: Place, sysroot: &Sysroot) -> EntryName {
    let config = &sysroot.config;
    let tries = match &listed.deployment.entry_name {
        _ if config.boot_counting_tries == 0 => None,
        None => Some(Tries { left: config.boot_counting_tries, done: None }),
        Some(name) => name.tries.as_ref().map(|tries| Tries { left: tries.left, done: Some(tries.done.unwrap_or(0)) }),
    };
    // Systems that were told to keep the older way of naming go on with it.
    let stateroot = listed.deployment.path.stateroot.as_str().to_owned();
    EntryName { number: place.number(), stateroot: sysroot.names_have_stateroot.then_some(stateroot), tries }
}

fn entry(listed: &Listed, place: Place, bootversion: BootVersion, config: &RepoConfig) -> BlsEntry {
    let deployment = &listed.deployment;
    let mut entry = deployment.entry.clone();
    entry.set("version", &place.number().to_string());
    // Of a damaged deployment the rest stays as it is: there is nothing to make it from.
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

/// Kernel, initramfs and what belongs to them.
fn set_files(entry: &mut BlsEntry, deployment: &Deployment, facts: &TreeFacts, config: &RepoConfig) {
    let prefix = if config.bootprefix { "/boot" } else { "" };
    let directory = format!("/ostree/{}", boot_directory(deployment));
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
        // libostree before 2026 wrote both into every entry: they follow the deployment.
        for (key, file) in [("aboot", "aboot.img"), ("abootcfg", "aboot.cfg")] {
            let end = format!("/usr/lib/ostree-boot/{file}");
            if entry.get(key).is_some_and(|path| path.starts_with("/ostree/deploy/") && path.ends_with(&end)) {
                entry.set(key, &format!("/{}{end}", deployment.path));
            }
        }
    }
}

/// The name of the directory of a deployment's kernel in `boot/ostree`.
pub(crate) fn boot_directory(deployment: &Deployment) -> String {
    format!("{}-{}", deployment.path.stateroot, deployment.bootcsum)
}

/// The path of an overlay initrd in `boot/ostree`.
pub(crate) fn overlay_file(checksum: &Checksum) -> String {
    format!("initramfs-overlays/{checksum}.img")
}

fn title(deployment: &Deployment, name: &str, place: Place) -> String {
    let version = deployment.version.as_deref().filter(|version| !version.is_empty() && !name.contains(version));
    let version = version.map(|version| format!(" {version}")).unwrap_or_default();
    let stateroot = if place.several_stateroots { format!("{}:", deployment.path.stateroot) } else { String::new() };
    format!("{name}{version} (ostree:{stateroot}{})", place.index)
}

fn options(listed: &Listed, bootversion: BootVersion) -> KernelArguments {
    let link = listed.bootlink(bootversion);
    let mut kargs = listed.deployment.kargs.clone();
    let has_our_init =
        kargs.get("init").is_some_and(|init| init.starts_with("/ostree/boot.") && init.ends_with(PREPARE_ROOT));
    match listed.deployment.kernel().map(|kernel| kernel.initramfs.is_some()) {
        Some(false) => kargs.set("init", &format!("/{link}{PREPARE_ROOT}")),
        // Of an older deployment that had no initramfs.
        Some(true) if has_our_init => kargs.remove("init"),
        // Of a damaged one, whose entry says what it needs.
        None if has_our_init => kargs.set("init", &format!("/{link}{PREPARE_ROOT}")),
        Some(true) | None => {}
    }
    kargs.set("ostree", &format!("/{link}"));
    kargs
}
