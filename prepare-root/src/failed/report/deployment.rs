//! The report of a deployment that lacks something, or has more than this kernel can use: the cures that work.

use ostree_formats::deployment::DeploymentPath;

use system::shell::quoted;

use super::advice::REMOVE_ARGUMENT;
use crate::plan::composefs::{AtBootMenu, ComposefsError};

/// The command that gives a hotfix up: without this directory `/usr` is that of the tree again. `ostree admin unlock` has made the
/// deployment mutable, and an initramfs has no `chattr`.
pub(super) fn give_up_hotfix(sysroot: &str, deployment: &DeploymentPath) -> String {
    let directory = format!("{sysroot}/{deployment}");
    format!(
        "to give up the hotfix: mount -o remount,rw {} && {{ chattr -i {} 2>/dev/null; rm -rf {}; }}",
        quoted(sysroot),
        quoted(&directory),
        quoted(&format!("{directory}/.usr-ovl-work"))
    )
}

/// For a deployment without a directory that each one has.
pub(super) fn incomplete(name: &str) -> &'static str {
    match name {
        "etc" => {
            "boot another entry, and stage the update again: /etc is made of usr/etc when it is finalized; if the tree has none, \
             rebuild the tree with usr/etc"
        }
        "usr/etc" => "boot another entry; rebuild the tree with usr/etc, and deploy it",
        _ => "boot another entry; rebuild the tree with that directory, and deploy it",
    }
}

/// For an image that is demanded and not there.
pub(super) fn without_image(error: &ComposefsError) -> Option<&'static str> {
    let ComposefsError::NoImage { at_boot_menu, .. } = error else { return None };
    match at_boot_menu {
        AtBootMenu::SwitchOff => Some(
            "to boot this entry without an image, with nothing verified: ostree.prepare-root.composefs=0 at the boot menu",
        ),
        AtBootMenu::RemoveArgument => Some(REMOVE_ARGUMENT),
        AtBootMenu::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hotfix_is_given_up_without_chattr() {
        let root = tempfile::tempdir().unwrap();
        let sysroot = root.path().join("sys root").display().to_string();
        let deployment: DeploymentPath = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64)).parse().unwrap();
        let work = std::path::PathBuf::from(format!("{sysroot}/{deployment}/.usr-ovl-work/work"));
        std::fs::create_dir_all(&work).unwrap();
        // An initramfs has this program, and no chattr.
        let programs = root.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink("/bin/rm", programs.join("rm")).unwrap();
        let told = give_up_hotfix(&sysroot, &deployment);
        let command = told.strip_prefix("to give up the hotfix: ").unwrap();
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &format!("mount() {{ :; }}; {command}")]).env("PATH", programs);
        let output = shell.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{command}: {output:?}");
        assert!(!work.parent().unwrap().exists(), "{command}");
    }
}
