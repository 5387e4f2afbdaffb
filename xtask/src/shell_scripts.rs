//! The shell scripts that ship: shellcheck has nothing to say against them.

use std::process::Command;

use anyhow::Result;

use crate::workspace::{self, run};

/// Scripts, by the shell that runs them.
const SCRIPTS: [(&str, &[&str]); 3] = [
    (
        "sh",
        &[
            "packaging/build.sh",
            "packaging/install.sh",
            "packaging/initramfs-configuration",
            "dracut-module/49ostree/ostree-prepare-root.sh",
            "dracut-module/49ostree/ostree-usable-root.sh",
            "initramfs-tools/hooks/firstroot",
            "initramfs-tools/scripts/prepare-root",
        ],
    ),
    ("bash", &["dracut-module/49ostree/module-setup.sh", "mkinitcpio/install/firstroot"]),
    // busybox' shell, which shellcheck 0.9 does not know.
    ("dash", &["mkinitcpio/hooks/firstroot"]),
];

/// Has shellcheck look at them. Not every machine has it.
pub(crate) fn lint() -> Result<()> {
    if Command::new("shellcheck").arg("--version").output().is_err() {
        println!("skipped: shellcheck (not installed: apt-get install shellcheck)");
        return Ok(());
    }
    for (shell, scripts) in SCRIPTS {
        let mut shellcheck = Command::new("shellcheck");
        run(shellcheck.arg(format!("--shell={shell}")).args(scripts).current_dir(workspace::root()))?;
    }
    Ok(())
}
