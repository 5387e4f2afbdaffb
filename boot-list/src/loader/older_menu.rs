//! The menu of a GRUB that reads no entries, for a list that begins with an older deployment: the active one, with another default.
//!
//! No program runs for it. It would write the menu of the active list, since nothing tells it of another one.

use ostree_formats::grub_menu;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_loader::{self, GrubConfig};
use system::dir;

use crate::plan::BootPlan;
use crate::plan::loader_file::LoaderFile;

/// What GRUB reads, in `/boot/loader`.
const NAME: &str = "grub.cfg";
/// A larger script is not looked into.
const LIMIT: u64 = 1 << 20;

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
    for path in ["grub/grub.cfg", "grub2/grub.cfg"] {
        if boot_loader::is_no_link(roots, path).map_err(|error| error.to_string())? {
            return Err(format!("/boot/{path} is no link to ../loader/{NAME}"));
        }
    }
    let Some(link) = plan.default_bootlink() else { return Ok(()) };
    let path = format!("loader/{NAME}");
    let script = dir::read(&roots.boot, &path, LIMIT).map_err(|error| format!("cannot read /boot/{path}: {error}"))?;
    let content =
        grub_menu::with_default(&script, &link).map_err(|error| format!("/boot/{path} cannot be used: {error}"))?;
    plan.loader_file = Some(LoaderFile { name: NAME, content });
    Ok(())
}
