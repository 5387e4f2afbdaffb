//! Finds out which boot loader there is and what it reads, and adds its part to a plan. Only reads.

use ostree_formats::uboot::OfTrees;
use ostree_sysroot::boot_loader::{self, BootLoader, GrubConfig, SYSLINUX_CFG, UENV};
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot, grub};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::links::open_ostree;
use crate::plan::BootPlan;
use crate::plan::grub::GrubPlan;
use crate::plan::swap::Swap;

/// Adds the boot loader's part, if `plan` writes entries.
///
/// # Errors
/// A file of the boot loader cannot be read.
pub fn ask(roots: &Roots, sysroot: &Sysroot, plan: &mut BootPlan) -> Result<(), SystemError> {
    if plan.swap != Swap::Loader {
        return Ok(());
    }
    match boot_loader::find(roots, sysroot.config.bootloader)? {
        BootLoader::Syslinux => syslinux(roots, sysroot, plan),
        BootLoader::Uboot => uboot(roots, sysroot, plan),
        BootLoader::Grub(config) => grub(roots, sysroot, plan, config),
        other => {
            // It is only told: what cannot be read is no reason to stop.
            let is_static = boot_loader::bootupd_has_static_configs(&roots.mounted_boot).unwrap_or(false);
            if other == BootLoader::Entries && is_static {
                plan.loader_notes.push(
                    "GRUB reads entries (bootupd's static configuration): no program runs at shutdown".to_owned(),
                );
            }
            plan.boot_loader = other;
            Ok(())
        }
    }
}

fn syslinux(roots: &Roots, sysroot: &Sysroot, plan: &mut BootPlan) -> Result<(), SystemError> {
    plan.add_syslinux(&boot_loader::text(roots, SYSLINUX_CFG)?, sysroot.config.bootprefix);
    note_of_no_link(roots, plan, SYSLINUX_CFG, "syslinux.cfg", "syslinux")
}

fn uboot(roots: &Roots, sysroot: &Sysroot, plan: &mut BootPlan) -> Result<(), SystemError> {
    let of_tree = |first: Option<&Deployment>| match first {
        Some(first) => boot_loader::uenv_of_tree(roots, &first.path),
        None => Ok(None),
    };
    let old = of_tree(sysroot.deployments.first())?;
    let new = of_tree(plan.list.first().map(|listed| &listed.deployment))?;
    plan.add_uboot(&boot_loader::text(roots, UENV)?, OfTrees { old: old.as_deref(), new: new.as_deref() });
    Ok(())
}

fn grub(roots: &Roots, sysroot: &Sysroot, plan: &mut BootPlan, config: GrubConfig) -> Result<(), SystemError> {
    let needed = grub::needed(roots, sysroot.config.bootloader)?;
    // The old menu may boot through the other bootversion, if it could not be written before: that set of links is replaced in one step.
    let link = plan.links_link();
    let is_needed = needed.unread.is_some() || needed.bootversions.contains(&plan.bootversion);
    if is_needed && current_target(roots, &link)?.as_deref() == Some(plan.links_directory().as_str()) {
        plan.count_subbootversion_from_zero();
    }
    let program = match std::env::var("OSTREE_GRUB2_EXEC") {
        Ok(program) if !program.is_empty() => Some(program),
        _ => grub::program(roots)?,
    };
    let reads_entries = grub::reads_entries(roots);
    let has_bootlinks = !needed.bootversions.is_empty();
    if program.is_none() && !reads_entries {
        plan.loader_warnings
            .push("neither grub2-mkconfig nor grub-mkconfig is installed: GRUB will not see this update".to_owned());
    }
    if config == GrubConfig::InLoader && !reads_entries {
        for path in ["grub/grub.cfg", "grub2/grub.cfg"] {
            note_of_no_link(roots, plan, path, "grub.cfg", "GRUB")?;
        }
        if let BootLoader::Grub(GrubConfig::OnEsp(directory)) = boot_loader::look(&roots.mounted_boot)? {
            plan.loader_warnings.push(format!(
                "/boot/{directory}/grub.cfg is not written, because sysroot.bootloader is grub2: GRUB will not see this update if it reads \
                 that file. To have it written: `ostree config set sysroot.bootloader auto`"
            ));
        }
    }
    if let Some(program) = &program {
        plan.loader_notes.push(if reads_entries {
            format!(
                "GRUB reads entries (GRUB_ENABLE_BLSCFG=true in /etc/default/grub), so {program} is not needed. To end running it at \
                 shutdown: `ostree config set sysroot.bootloader none`"
            )
        } else {
            format!(
                "{program} runs at shutdown. To end that, make GRUB read entries (GRUB_ENABLE_BLSCFG=true in /etc/default/grub, or \
                 `bootupctl migrate-static-grub-config`), then: `ostree config set sysroot.bootloader none`"
            )
        });
    }
    plan.add_grub(GrubPlan { program, config, reads_entries, has_bootlinks });
    Ok(())
}

/// Warns if the boot loader reads a file that no update reaches.
fn note_of_no_link(roots: &Roots, plan: &mut BootPlan, path: &str, name: &str, who: &str) -> Result<(), SystemError> {
    if boot_loader::is_no_link(roots, path)? {
        plan.loader_warnings.push(format!(
            "/boot/{path} is no link: {who} will not see this update. To make it one, after the update: `ln -sf ../loader/{name} \
             /boot/{path}`"
        ));
    }
    Ok(())
}

/// What a link in `/ostree` leads to; `None` if it is none.
fn current_target(roots: &Roots, link: &str) -> Result<Option<String>, SystemError> {
    match dir::read_link(open_ostree(roots)?, link) {
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        other => other.map(Some).context("read the link", format_args!("/ostree/{link}")),
    }
}
