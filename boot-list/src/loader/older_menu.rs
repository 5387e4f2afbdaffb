//! The menu of a GRUB that reads no entries, for a list that begins with an older deployment: the active one, with another default.
//!
//! No program runs for it. It would write the menu of the active list, since nothing tells it of another one.

use ostree_formats::boot_attempts::OLDER_LIST;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::grub_menu;
use ostree_sysroot::boot_loader::GrubConfig;
use ostree_sysroot::{Roots, Sysroot};
use rustix::fs::OFlags;
use system::dir;

use crate::plan::BootPlan;
use crate::plan::loader_file::LoaderFile;

/// What GRUB reads, in `/boot/loader`.
const NAME: &str = "grub.cfg";
/// A larger script is not looked into.
const LIMIT: u64 = 1 << 20;

/// Who may read it: a password may be in it, as `grub-mkconfig` knows.
const MODE: u32 = 0o600;
/// What GRUB starts with; one of them, or both.
const READ_BY_GRUB: [&str; 2] = ["grub/grub.cfg", "grub2/grub.cfg"];

/// Adds it to the plan of such a list, where GRUB needs one. Only reads. The error is the reason why there is none, in words.
///
/// # Errors
/// GRUB reads a file that is not exchanged with the list, or no entry of the active menu can be its default.
pub fn add(roots: &Roots, plan: &mut BootPlan) -> Result<(), String> {
    let Some(grub) = plan.grub.as_ref().filter(|grub| !grub.reads_entries) else { return Ok(()) };
    if let GrubConfig::OnEsp(directory) = &grub.config {
        return Err(format!(
            "GRUB reads /boot/{directory}/grub.cfg, which is not beside the entries; to make it read them: \
             GRUB_ENABLE_BLSCFG=true in /etc/default/grub"
        ));
    }
    let path = format!("loader/{NAME}");
    if !leads_to_the_active_one(roots, &path)? {
        return Err(format!("neither /boot/grub/{NAME} nor /boot/grub2/{NAME} leads to /boot/{path}"));
    }
    let Some(link) = plan.default_bootlink() else { return Ok(()) };
    let script = dir::read(&roots.boot, &path, LIMIT).map_err(|error| format!("cannot read /boot/{path}: {error}"))?;
    let content =
        grub_menu::with_default(&script, &link).map_err(|error| format!("/boot/{path} cannot be used: {error}"))?;
    plan.loader_file = Some(LoaderFile { name: NAME, content, mode: MODE });
    Ok(())
}

/// Whether the menu of such a list that was written is still that of the active one, which an administrator may have written anew. `true` if there
/// is none, `false` if it cannot be told.
pub fn is_current(roots: &Roots, sysroot: &Sysroot, first: &DeploymentPath) -> bool {
    let read = |directory: &str| dir::read(&roots.boot, format!("{directory}/{NAME}"), LIMIT);
    let written = match dir::if_there(read(OLDER_LIST)) {
        Ok(Some(script)) if grub_menu::has_another_default(&script) => script,
        Ok(_) => return true,
        // What cannot be read is written again.
        Err(_) => return false,
    };
    let link = sysroot.find(first).and_then(|first| first.kargs.get("ostree")?.parse().ok());
    let now = link.and_then(|link| grub_menu::with_default(&read("loader").ok()?, &link).ok());
    now.as_ref() == Some(&written)
}

/// Whether the active menu is one of these: its list was exchanged. What cannot be read is none.
pub fn is_active(roots: &Roots) -> bool {
    dir::read(&roots.boot, format!("loader/{NAME}"), LIMIT).is_ok_and(|script| grub_menu::has_another_default(&script))
}

/// Whether what GRUB reads is the active menu, and so is exchanged with it. A file that leads elsewhere may be the one that it reads.
fn leads_to_the_active_one(roots: &Roots, path: &str) -> Result<bool, String> {
    let of = |path: &str| {
        let found = dir::if_there(dir::open(&roots.mounted_boot, path, OFlags::PATH).and_then(dir::stat_fd));
        let found = found.map_err(|error| format!("cannot look up /boot/{path}: {error}"))?;
        Ok::<_, String>(found.map(|stat| (stat.device, stat.inode)))
    };
    let active = of(path)?;
    let mut leads = false;
    for path in READ_BY_GRUB {
        if let Some(found) = of(path)? {
            if Some(found) != active {
                return Err(format!("/boot/{path} is no link to ../loader/{NAME}"));
            }
            leads = true;
        }
    }
    Ok(leads)
}
