//! What is written for a list of deployments, which swap activates it, and what is removed afterwards: pure.

pub mod boot_loader;
pub mod entry;
pub mod foreign;
pub mod grub;
pub mod list;
pub mod loader_file;
pub mod older_list;
pub mod removals;
pub mod swap;
pub mod trial;
pub mod written;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::Checksum;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_loader::BootLoader;
use ostree_sysroot::deployment::Deployment;

use entry::Naming;
use foreign::Fate;
use grub::GrubPlan;
use list::ListedDeployment;
use loader_file::LoaderFile;
use swap::{Swap, SwapLink, links_directory, loader_directory};
use written::Written;

/// A list of deployments as it will be on the disk.
#[derive(Debug, Clone)]
pub struct BootPlan {
    /// How the list is activated.
    pub swap: Swap,
    /// After the swap.
    pub bootversion: BootVersion,
    /// After the swap.
    pub subbootversion: BootVersion,
    /// In the order of the menu.
    pub list: Vec<ListedDeployment>,
    /// With [`Swap::Loader`].
    pub entries: Vec<Written>,
    /// Which files of others are kept and changed, with [`Swap::Loader`].
    pub foreign: Fate,
    /// The boot links.
    pub links: Vec<Written>,
    /// Overlay initrds that must be in `/boot`.
    pub overlays: Vec<Checksum>,
    /// The boot loader, with [`Swap::Loader`]; otherwise nobody has asked.
    pub boot_loader: BootLoader,
    /// The file that the boot loader reads instead of entries.
    pub loader_file: Option<LoaderFile>,
    /// The program that writes the menu of GRUB.
    pub grub: Option<GrubPlan>,
    /// What the boot loader will not see.
    pub loader_warnings: Vec<String>,
    /// What the administrator can do for the boot loader.
    pub loader_notes: Vec<String>,
    /// The links that are swapped, in this order. The last one activates the list; nothing leads to the others before.
    pub swaps: Vec<SwapLink>,
}

impl BootPlan {
    /// The name of the directory of its entries in `/boot`.
    pub fn loader_directory(&self) -> String {
        loader_directory(self.bootversion)
    }

    /// The name of the directory of its boot links in `/ostree`.
    pub fn links_directory(&self) -> String {
        links_directory(self.bootversion, self.subbootversion)
    }

    /// The name of the link to it in `/ostree`.
    pub fn links_link(&self) -> String {
        format!("boot.{}", self.bootversion)
    }

    /// Sets the subbootversion to zero, as libostree does if it swaps twice without a clean-up in between.
    pub fn count_subbootversion_from_zero(&mut self) {
        self.subbootversion = BootVersion::Zero;
        self.swaps = swaps(self.swap, self.bootversion, self.subbootversion);
    }
}

fn swaps(swap: Swap, bootversion: BootVersion, subbootversion: BootVersion) -> Vec<SwapLink> {
    let bootlinks = SwapLink::bootlinks(bootversion, subbootversion);
    match swap {
        Swap::Loader => vec![bootlinks, SwapLink::loader(bootversion)],
        Swap::Bootlinks => vec![bootlinks],
    }
}

/// Plans `list` for a disk in the state `sysroot`.
pub fn plan(sysroot: &Sysroot, naming: Naming, list: Vec<ListedDeployment>) -> BootPlan {
    // If only the boot links change, the bootversion stays, and most entries of others stay valid.
    let links_only = fate(sysroot, &list, sysroot.bootversion, &[]);
    let new_entries = needs_new_entries(sysroot, &list) || links_only.needs_new_entries();
    plan_by(sysroot, naming, list, if new_entries { Swap::Loader } else { Swap::Bootlinks })
}

/// The same with new entries, although nothing has changed in them: what is beside them is written anew.
pub fn plan_anew(sysroot: &Sysroot, naming: Naming, list: Vec<ListedDeployment>) -> BootPlan {
    plan_by(sysroot, naming, list, Swap::Loader)
}

fn plan_by(sysroot: &Sysroot, naming: Naming, list: Vec<ListedDeployment>, swap: Swap) -> BootPlan {
    let (bootversion, subbootversion) = match swap {
        // As libostree: the other bootversion is unused, except for leftovers of an interrupted run.
        Swap::Loader => (sysroot.bootversion.other(), BootVersion::One),
        Swap::Bootlinks => (sysroot.bootversion, sysroot.subbootversion.other()),
    };
    let (entries, foreign) = match swap {
        Swap::Loader => {
            let entries = entry::entries(&list, bootversion, &sysroot.config, naming);
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
    let swaps = swaps(swap, bootversion, subbootversion);
    BootPlan {
        swap,
        bootversion,
        subbootversion,
        list,
        entries,
        foreign,
        links,
        overlays,
        boot_loader: BootLoader::default(),
        loader_file: None,
        grub: None,
        loader_warnings: Vec::new(),
        loader_notes: Vec::new(),
        swaps,
    }
}

/// What happens to the files of others if `list` is activated with `bootversion`, with `entries` beside them.
fn fate(sysroot: &Sysroot, list: &[ListedDeployment], bootversion: BootVersion, entries: &[Written]) -> Fate {
    let bootlink = |path: &_| {
        let listed = list.iter().find(|listed| listed.deployment.path == *path);
        listed.map(|listed| listed.bootlink(bootversion))
    };
    foreign::decide(&sysroot.foreign, bootlink, |path| entries.iter().any(|entry| entry.path == path))
}

/// Whether anything changes that a boot loader reads.
fn needs_new_entries(sysroot: &Sysroot, list: &[ListedDeployment]) -> bool {
    let current = list::current(sysroot);
    current.len() != list.len()
        || !current.iter().zip(list).all(|(one, other)| boots_the_same(&one.deployment, &other.deployment))
}

fn boots_the_same(current: &Deployment, wanted: &Deployment) -> bool {
    // The entry of a new deployment has only the further keys yet.
    let further_keys_are_there =
        wanted.entry.fields().iter().all(|(key, value)| current.entry.values(key).any(|other| other == value));
    current.bootcsum == wanted.bootcsum
        && current.overlay_initrds == wanted.overlay_initrds
        && current.kargs.without_ostree() == wanted.kargs.without_ostree()
        && current.version == wanted.version
        && current.path.stateroot == wanted.path.stateroot
        && (wanted.entry_name.is_some() || further_keys_are_there)
}

fn bootlink(listed: &ListedDeployment, bootversion: BootVersion) -> Written {
    let link = listed.bootlink(bootversion);
    let path = &listed.deployment.path;
    Written {
        path: format!("{}/{}/{}", link.stateroot, link.bootcsum, link.bootserial),
        content: format!("../../../deploy/{}/deploy/{}", path.stateroot, path.id),
    }
}
