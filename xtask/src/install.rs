//! Everything where a distribution expects it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::linkage;
use crate::workspace;

/// Directory of the dracut module. The number orders modules; of two with the name `ostree` dracut takes the lower one, so
/// that a `98ostree` that libostree's own package brought is left out.
pub(crate) const DRACUT_MODULE: &str = "50ostree";

/// What is not the binary: from where in the workspace, to where below DESTDIR, with which mode.
fn files(dracut_module: &str) -> Vec<(&'static str, String, u32)> {
    let module = format!("usr/lib/dracut/modules.d/{dracut_module}");
    vec![
        ("dracut-module/50ostree/module-setup.sh", format!("{module}/module-setup.sh"), 0o755),
        ("dracut-module/50ostree/ostree-prepare-root.sh", format!("{module}/ostree-prepare-root.sh"), 0o755),
        ("dracut-module/50ostree/ostree-usable-root.sh", format!("{module}/ostree-usable-root.sh"), 0o755),
        ("dracut-module/ostree.conf", "usr/lib/dracut/dracut.conf.d/50-ostree.conf".to_owned(), 0o644),
        (
            "dracut-module/units/ostree-prepare-root.service",
            "usr/lib/systemd/system/ostree-prepare-root.service".to_owned(),
            0o644,
        ),
        ("man/ostree-prepare-root.1", "usr/share/man/man1/ostree-prepare-root.1".to_owned(), 0o644),
        ("man/prepare-root.conf.5", "usr/share/man/man5/prepare-root.conf.5".to_owned(), 0o644),
    ]
}

/// Installs `binary` and what belongs to it below `destdir`.
pub(crate) fn install(binary: &Path, destdir: &Path, dracut_module: &str) -> Result<()> {
    let program = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
    linkage::require_static(&program).with_context(|| format!("refusing to install {}", binary.display()))?;
    put(destdir, "usr/lib/ostree/ostree-prepare-root", &program, 0o755)?;
    for (from, to, mode) in files(dracut_module) {
        let content = fs::read(workspace::root().join(from)).with_context(|| format!("reading {from}"))?;
        put(destdir, &to, &content, mode)?;
    }
    Ok(())
}

/// One file, by a rename: DESTDIR may be the root of a running system.
fn put(destdir: &Path, to: &str, content: &[u8], mode: u32) -> Result<()> {
    let target = destdir.join(to);
    let directory = target.parent().context("a file has a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let new =
        tempfile::NamedTempFile::new_in(directory).with_context(|| format!("writing to {}", directory.display()))?;
    fs::write(new.path(), content).with_context(|| format!("writing {}", new.path().display()))?;
    fs::set_permissions(new.path(), Permissions::from_mode(mode))?;
    new.persist(&target).with_context(|| format!("putting {} into place", target.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_static_is_refused_and_nothing_is_installed() {
        let destdir = tempfile::tempdir().unwrap();
        let error = install(&std::env::current_exe().unwrap(), destdir.path(), DRACUT_MODULE).unwrap_err();
        assert!(format!("{error:#}").contains("not static"), "{error:#}");
        assert_eq!(fs::read_dir(destdir.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_file_that_is_installed_exists() {
        for (from, _, _) in files(DRACUT_MODULE) {
            assert!(workspace::root().join(from).is_file(), "{from}");
        }
    }
}
