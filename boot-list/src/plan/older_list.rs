//! The list that becomes the active one if its default does not come up: another deployment is first, and nothing else differs. Pure.
//!
//! It is written beside the active one and exchanged with it by one rename. So no boot link may change: the entries name those of
//! the active list.

use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_loader::BootLoader;

use super::entry::{self, Naming};
use super::list::{ListedDeployment, numbered};
use super::swap::Swap;
use super::{BootPlan, fate};

/// Plans it, with `first` in front; or why there can be none. The trees of the list are those of [`super::list::current`].
///
/// # Errors
/// An entry does not name the boot link that libostree gives it.
pub fn plan(
    sysroot: &Sysroot,
    naming: Naming,
    mut list: Vec<ListedDeployment>,
    first: &DeploymentPath,
) -> Result<BootPlan, String> {
    let bootversion = sysroot.bootversion;
    for listed in &list {
        let named = listed.deployment.kargs.get("ostree").and_then(|path| path.parse::<Bootlink>().ok());
        if named.as_ref() != Some(&listed.bootlink(bootversion)) {
            return Err(format!("the entry of /{} does not name its boot link", listed.deployment.path));
        }
    }
    let Some(at) = list.iter().position(|listed| listed.deployment.path == *first) else {
        return Err(format!("/{first} is in no entry"));
    };
    if let Some(to_front) = list.get_mut(..=at) {
        to_front.rotate_right(1);
    }
    // libostree would give other links to a list in this order.
    let renumbered = numbered(list.iter().map(|listed| listed.deployment.clone()));
    if renumbered.iter().zip(&list).any(|(new, old)| new.bootserial != old.bootserial) {
        return Err("a deployment before it has its kernel, and the numbers of boot links would change".to_owned());
    }
    let entries = entry::entries(&list, bootversion, &sysroot.config, naming);
    let foreign = fate(sysroot, &list, bootversion, &entries);
    Ok(BootPlan {
        swap: Swap::Loader,
        bootversion,
        subbootversion: sysroot.subbootversion,
        list,
        entries,
        foreign,
        links: Vec::new(),
        overlays: Vec::new(),
        boot_loader: BootLoader::default(),
        loader_file: None,
        grub: None,
        loader_warnings: Vec::new(),
        loader_notes: Vec::new(),
        swaps: Vec::new(),
    })
}

/// Why the boot loader would not read it.
pub fn why_not_read(plan: &BootPlan) -> Option<&'static str> {
    let is_written_elsewhere = matches!(plan.boot_loader, BootLoader::Zipl | BootLoader::Aboot);
    is_written_elsewhere.then_some("a program writes what the boot loader reads")
}
