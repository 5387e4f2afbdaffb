//! Everything where a distribution expects it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binary::{self, Program};
use crate::linkage;
use crate::workspace;

/// Directory of the dracut module. The number orders modules; of two with the name `ostree` dracut takes the lower one, so
/// that a `98ostree` that libostree's own package brought is left out.
pub(crate) const DRACUT_MODULE: &str = "50ostree";

/// Where systemd looks for what packages bring.
const UNITS: &str = "usr/lib/systemd/system";

/// What is enabled without anybody's doing: a unit, and the target that wants it.
const WANTED: &[(&str, &str)] = &[
    ("ostree-finalize-staged-prepare.path", "paths.target"),
    ("ostree-finalize-staged-clean.service", "multi-user.target"),
];

/// What is no program: from where in the workspace, to where below DESTDIR, with which mode.
fn files(dracut_module: &str) -> Vec<(&'static str, String, u32)> {
    let module = format!("usr/lib/dracut/modules.d/{dracut_module}");
    let unit = |from: &'static str| (from, format!("{UNITS}/{}", from.trim_start_matches("units/")), 0o644);
    vec![
        ("dracut-module/50ostree/module-setup.sh", format!("{module}/module-setup.sh"), 0o755),
        ("dracut-module/50ostree/ostree-prepare-root.sh", format!("{module}/ostree-prepare-root.sh"), 0o755),
        ("dracut-module/50ostree/ostree-usable-root.sh", format!("{module}/ostree-usable-root.sh"), 0o755),
        ("dracut-module/ostree.conf", "usr/lib/dracut/dracut.conf.d/50-ostree.conf".to_owned(), 0o644),
        ("dracut-module/units/ostree-prepare-root.service", format!("{UNITS}/ostree-prepare-root.service"), 0o644),
        unit("units/ostree-finalize-staged.service.d/00-firstroot.conf"),
        unit("units/ostree-finalize-staged-hold.service.d/00-firstroot.conf"),
        unit("units/ostree-boot-complete.service.d/00-firstroot.conf"),
        unit("units/ostree-finalize-staged-prepare.path"),
        unit("units/ostree-finalize-staged-prepare.service"),
        unit("units/ostree-finalize-staged-clean.service"),
        ("man/ostree-finalize-staged.8", "usr/share/man/man8/ostree-finalize-staged.8".to_owned(), 0o644),
        ("man/ostree-prepare-root.8", "usr/share/man/man8/ostree-prepare-root.8".to_owned(), 0o644),
        ("man/prepare-root.conf.5", "usr/share/man/man5/prepare-root.conf.5".to_owned(), 0o644),
    ]
}

/// Builds every program and installs all of them, with what belongs to them, below `destdir`.
pub(crate) fn install(destdir: &Path, dracut_module: &str) -> Result<()> {
    let built = binary::PROGRAMS.map(|program| binary::build(program).map(|path| (program, path)));
    let built = built.into_iter().collect::<Result<Vec<_>>>()?;
    install_built(&built, destdir, dracut_module)
}

fn install_built(built: &[(Program, PathBuf)], destdir: &Path, dracut_module: &str) -> Result<()> {
    let read = |(program, path): &(Program, PathBuf)| {
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        linkage::require_static(&content).with_context(|| format!("refusing to install {}", path.display()))?;
        Ok((program.name, content))
    };
    for (name, content) in built.iter().map(read).collect::<Result<Vec<_>>>()? {
        put(destdir, &format!("usr/lib/ostree/{name}"), &content, 0o755)?;
    }
    for (from, to, mode) in files(dracut_module) {
        let content = fs::read(workspace::root().join(from)).with_context(|| format!("reading {from}"))?;
        put(destdir, &to, &content, mode)?;
    }
    WANTED.iter().try_for_each(|(unit, target)| enable(destdir, unit, target))
}

/// A link as `systemctl enable` makes it, in the directory of what packages bring.
fn enable(destdir: &Path, unit: &str, target: &str) -> Result<()> {
    let wants = destdir.join(UNITS).join(format!("{target}.wants"));
    fs::create_dir_all(&wants).with_context(|| format!("making {}", wants.display()))?;
    match std::os::unix::fs::symlink(format!("../{unit}"), wants.join(unit)) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("enabling {unit}"))
        }
        _ => Ok(()),
    }
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
        let built = [(binary::PREPARE_ROOT, std::env::current_exe().unwrap())];
        let error = install_built(&built, destdir.path(), DRACUT_MODULE).unwrap_err();
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
