//! What is no entry: the staged deployment, GRUB's menu, room, stamps and leftovers.

use std::fs::File;
use std::os::fd::AsFd;

use boot_list::plan::list;
use boot_list::plan::removals::{Current, removals};
use esp_projection::settings::Settings;
use finalize_staged::inspect::{self, Staged};
use ostree_sysroot::boot_links::{LookupError, follow_by_text};
use ostree_sysroot::kernel_layout::{self, KernelError};
use ostree_sysroot::leftovers::{self, Unreadable};
use ostree_sysroot::{Sysroot, SysrootError, deployment, free_space, grub, sysroot};
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use super::deployment::{Demanded, demanded, findings};
use super::entry::Judge;
use super::model::Finding;
use crate::initramfs::{self, Contents, UnpackError};
use crate::place::{Place, as_root};

/// The deployment that the next shutdown would make boot.
pub(super) fn staged(judge: &mut Judge<'_>, found: &mut Vec<Finding>) {
    let place = judge.place;
    if !place.runs {
        return;
    }
    let staged = match inspect::staged(&place.root) {
        Ok(Some(staged)) if !staged.locked => staged,
        Ok(_) => return,
        Err(error) => {
            let cure = "stage the update again".to_owned();
            found.push(Finding::note(
                "/run/ostree/staged-deployment",
                format!("the update will not be applied: {error}"),
                cure,
            ));
            return;
        }
    };
    let shown = format!("/{}", staged.state.target.deployment);
    match inspect::plan(&place.root, &place.roots, &staged) {
        Ok(plan) => {
            for conflict in &plan.conflicts {
                let text = format!("the staged update will not be applied: {conflict}");
                found.push(Finding::note(
                    &shown,
                    text,
                    "rename your file, or remove it: firstroot etc explain PATH".to_owned(),
                ));
            }
            if plan.conflicts.is_empty() {
                found.extend(of_staged(judge, &staged));
            }
            if plan.boot_bytes > plan.boot_free {
                let text = format!(
                    "the staged update needs {} bytes in /boot, and {} are free: it may have to remove an old deployment first",
                    plan.boot_bytes, plan.boot_free
                );
                found.push(Finding::note(
                    "/boot",
                    text,
                    "ostree admin undeploy INDEX, or remove your own files".to_owned(),
                ));
            }
        }
        Err(error) => {
            let text = format!("the staged update will not be applied: {error}");
            found.push(Finding::note(&shown, text, "mend it before the shutdown: firstroot plan".to_owned()));
        }
    }
}

/// Its tree: it is in `/boot` only after the shutdown.
fn of_staged(judge: &mut Judge<'_>, staged: &Staged) -> Vec<Finding> {
    let place = judge.place;
    let target = &staged.state.target;
    let shown = format!("/{}", target.deployment);
    let deploy = "stage the update again".to_owned();
    let mut modules = None;
    let mut look = || -> Result<(Contents, Option<UnpackError>), KernelError> {
        let tree = deployment::open(&place.roots, &target.deployment)?;
        let layout = kernel_layout::find(&tree, &target.deployment, Some(&target.bootcsum))?;
        kernel_layout::check(&tree, &target.deployment, &layout, &target.bootcsum)?;
        let (mut contents, mut error) = (Contents::default(), None);
        let file = layout.initramfs.as_ref().unwrap_or(&layout.kernel);
        let path = format!("{}/{}", layout.directory, file.source);
        let opened = dir::open(&tree, &path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY);
        let file = File::from(opened.context("open", &path)?);
        if layout.initramfs.is_some() {
            error = initramfs::read(file, &mut contents).err();
            modules = Some(layout.directory);
        } else if let Some(image) = initramfs::of_kernel(file).context("read", &path)? {
            error = initramfs::read(image, &mut contents).err();
        }
        Ok((contents, error))
    };
    let (wanted, mut found) = match look() {
        Ok((contents, None)) => demanded(&contents, &shown),
        Ok((_, Some(error))) => {
            let text = format!("its initramfs cannot be unpacked: {error}");
            let is_certain = error.is_certain();
            let finding = if is_certain { Finding::bad } else { Finding::unknown };
            (Demanded::default(), vec![finding(&shown, text, deploy)])
        }
        Err(KernelError::System(error)) => {
            (Demanded::default(), vec![Finding::unknown(&shown, error.to_string(), as_root())])
        }
        Err(error) => (Demanded::default(), vec![Finding::bad(&shown, error.to_string(), deploy)]),
    };
    found.extend(findings(place, &target.deployment, &wanted, None, None));
    let of_image = modules.map(|modules| judge.image(&target.deployment, &modules));
    if let Some((demanded, more)) = of_image {
        found.extend(more);
        found.extend(demanded.iter().flat_map(|wanted| findings(place, &target.deployment, wanted, None, None)));
    }
    found
}

/// GRUB's own menu, room, stamps and leftovers.
pub(super) fn boot(place: &Place, found: &mut Vec<Finding>) {
    grub_menu(place, found);
    match inspect::stamp(&place.roots) {
        Ok(Some(text)) => {
            let cure = "ostree admin status; stage the update again".to_owned();
            found.push(Finding::note(
                "/boot/ostree/finalize-failure.stamp",
                format!("the last finalization left: {text}"),
                cure,
            ));
        }
        Ok(None) => {}
        Err(error) => found.push(Finding::unknown("/boot", error.to_string(), as_root())),
    }
    room(place, found);
    esp(place, found);
    if place.runs {
        unused(place, found);
    }
}

/// What a boot loader reads on an ESP is a copy, which is not looked at here.
fn esp(place: &Place, found: &mut Vec<Finding>) {
    let text = match Settings::read(&place.roots.system) {
        Ok(settings) if settings.enabled => "this machine boots from an ESP, and this checks /boot only".to_owned(),
        Ok(_) => return,
        Err(error) => format!("whether this machine boots from an ESP is not known: {error}"),
    };
    found.push(Finding::note("/etc/ostree/esp.conf", text, "firstroot esp sync --dry-run".to_owned()));
}

fn grub_menu(place: &Place, found: &mut Vec<Finding>) {
    let config = match sysroot::repo_config(&place.roots) {
        Ok(config) => config,
        Err(SysrootError::System(error)) => {
            found.push(Finding::unknown("/ostree/repo/config", error.to_string(), as_root()));
            return;
        }
        Err(error) => {
            found.push(Finding::note(
                "/ostree/repo/config",
                error.to_string(),
                "mend the file: no update succeeds before".to_owned(),
            ));
            return;
        }
    };
    let cure = "grub-mkconfig -o /boot/grub/grub.cfg (grub2-mkconfig on Fedora)".to_owned();
    let menus = match grub::menus(&place.roots, config.bootloader) {
        Ok(menus) => menus,
        Err(error) => {
            found.push(Finding::unknown("/boot", error.to_string(), as_root()));
            return;
        }
    };
    for (path, names) in menus {
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                found.push(Finding::unknown(&format!("/boot/{path}"), error.to_string(), as_root()));
                continue;
            }
        };
        for link in &names.bootlinks {
            let text = match follow_by_text(place.roots.sysroot.as_fd(), &format!("/{link}")) {
                Ok(_) => continue,
                Err(LookupError::Other { reason, .. }) => {
                    found.push(Finding::unknown(
                        &format!("/{link}"),
                        format!("cannot be looked up: {reason}"),
                        as_root(),
                    ));
                    continue;
                }
                Err(error) => format!("GRUB's menu boots through {link}: {error}"),
            };
            found.push(Finding::bad(&format!("/boot/{path}"), text, cure.clone()));
        }
        for name in &names.in_boot_ostree {
            let opened = dir::open(&place.roots.boot, format!("ostree/{name}"), OFlags::PATH);
            let is_kernel = ostree_sysroot::boot_names::is_kernel_directory(name);
            if is_kernel && opened.is_err_and(|error| error == rustix::io::Errno::NOENT) {
                let text = format!("GRUB's menu names /boot/ostree/{name}, which does not exist");
                found.push(Finding::bad(&format!("/boot/{path}"), text, cure.clone()));
            }
        }
    }
}

/// Whether a further kernel of the same size would fit.
fn room(place: &Place, found: &mut Vec<Finding>) {
    if !place.roots.boot_is_separate {
        return;
    }
    let largest = || -> Result<(u64, u64), SystemError> {
        let free = free_space::of_boot(&place.roots)?;
        let names = dir::names(&place.roots.boot, "ostree").unwrap_or_default();
        let kernels = names.iter().filter(|name| ostree_sysroot::boot_names::is_kernel_directory(name));
        let size = |name: &String| free_space::blocks(&place.roots.boot, &format!("ostree/{name}")).unwrap_or(0);
        Ok((free, kernels.map(size).max().unwrap_or(0)))
    };
    match largest() {
        Ok((free, largest)) if free < largest => {
            let text = format!(
                "{free} bytes are free, and the largest kernel has {largest}: an update may have to remove an old deployment first"
            );
            found.push(Finding::note(
                "/boot",
                text,
                "ostree admin undeploy INDEX, or remove your own files".to_owned(),
            ));
        }
        Ok(_) => {}
        Err(error) => found.push(Finding::note("/boot", error.to_string(), as_root())),
    }
}

/// What no entry names any more.
fn unused(place: &Place, found: &mut Vec<Finding>) {
    let sysroot = match Sysroot::load(&place.roots) {
        Ok(sysroot) => sysroot,
        Err(error) => {
            let text = format!("ostree or firstroot cannot load this sysroot: no update will succeed: {error}");
            found.push(Finding::note("/sysroot", text, "mend it first".to_owned()));
            return;
        }
    };
    let left = match leftovers::find(&place.roots, Unreadable::IsEmpty) {
        Ok(left) => left,
        Err(error) => {
            found.push(Finding::note("/boot, /ostree", format!("what is left over is not known: {error}"), as_root()));
            return;
        }
    };
    let current = Current::with(&sysroot, list::current(&sysroot));
    let removable = removals(&left, &current);
    let mut all: Vec<String> = removable.boot.iter().map(|path| format!("/boot/{path}")).collect();
    all.extend(removable.sysroot.iter().map(|path| format!("/{path}")));
    let staged = inspect::staged(&place.root).ok().flatten().map(|staged| staged.state.target.deployment.to_string());
    all.retain(|path| {
        !staged.as_ref().is_some_and(|staged| path.contains(staged.as_str())) && !path.contains(".prepared")
    });
    if let Some(first) = all.first() {
        let text =
            format!("{} unused names are left over, {first} among them; the next clean-up removes them", all.len());
        found.push(Finding::note("/boot, /ostree", text, "ostree admin cleanup".to_owned()));
    }
}
