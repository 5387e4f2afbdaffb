//! Advice for a deployment that lacks something, or that has something that this kernel cannot use.

use ostree_formats::deployment::{DeploymentId, DeploymentPath};

use system::shell::quoted;

use super::advice::REMOVE_ARGUMENT;
use crate::plan::composefs::{AtBootMenu, ComposefsError};

/// The command that removes a hotfix: without this directory `/usr` is that of the tree again. An initramfs may have no `chattr`;
/// `ostree admin unlock` has made the deployment mutable already.
pub(super) fn give_up_hotfix(sysroot: &str, deployment: &DeploymentPath, digits: usize) -> String {
    let directory = format!("{sysroot}/ostree/deploy/{}/deploy", deployment.stateroot);
    format!(
        "to remove the hotfix:\n\tmount -o remount,rw {}\n\tcd {}\n\trm -rf {}/.usr-ovl-work",
        quoted(sysroot),
        quoted(&directory),
        pattern(&deployment.id, digits)
    )
}

/// The name of a deployment for a shell in the directory of all deployments, without a whole checksum.
pub(super) fn pattern(id: &DeploymentId, digits: usize) -> String {
    format!("{}*.{}", id.commit.as_str().get(..digits).unwrap_or_default(), id.deployserial)
}

/// For a deployment without a directory that every deployment has.
pub(super) fn incomplete(name: &str) -> &'static str {
    match name {
        "etc" => {
            "boot another entry and stage the update again: finalization makes /etc from usr/etc. If the tree has no usr/etc, \
             rebuild the tree with usr/etc"
        }
        "usr/etc" => "boot another entry; rebuild the tree with usr/etc and deploy it",
        _ => "boot another entry; rebuild the tree with that directory and deploy it",
    }
}

/// For a missing image that is demanded.
pub(super) fn without_image(error: &ComposefsError) -> Option<&'static str> {
    let ComposefsError::NoImage { at_boot_menu, .. } = error else { return None };
    match at_boot_menu {
        AtBootMenu::SwitchOff => Some(
            "to boot this entry without an image and without verification, add in the boot menu:\n\
             \tostree.prepare-root.composefs=no",
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
        let told = give_up_hotfix(&sysroot, &deployment, 4);
        let command = told.strip_prefix("to remove the hotfix:\n").unwrap();
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &format!("mount() {{ :; }}; {command}")]).env("PATH", programs);
        let output = shell.output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{command}: {output:?}");
        assert!(!work.parent().unwrap().exists(), "{command}");
    }
}
