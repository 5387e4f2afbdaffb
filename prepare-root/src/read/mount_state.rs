//! Finds in the mount table what earlier runs did: a root that is already prepared, or the leftovers of a killed run.

use std::fmt;
use std::path::Path;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::mountinfo::MountEntry;
use serde::Serialize;

/// What a killed run has left mounted where it built the new root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Nothing.
    Nothing,
    /// A new root beside the physical root: it must be unmounted.
    Beside,
    /// The physical root is only inside it: it must be moved back first.
    AroundPhysicalRoot {
        /// The mount was writable before that run made it read-only.
        writable: bool,
    },
}

/// What a root is prepared for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PreparedFor {
    /// This deployment: its directory is mounted.
    Deployment(DeploymentPath),
    /// A composefs image: the mount table does not show of which deployment.
    Image,
}

impl fmt::Display for PreparedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PreparedFor::Deployment(path) => write!(f, "/{path}"),
            PreparedFor::Image => f.write_str("a composefs image"),
        }
    }
}

/// What was left at `staging`, where new roots are built.
pub(crate) fn leftover(mounts: &[MountEntry], staging: &Path, sysroot: &Path) -> Leftover {
    let Some(new_root) = top(mounts, staging) else { return Leftover::Nothing };
    match (top(mounts, sysroot), top(mounts, &staging.join("sysroot"))) {
        (None, Some(physical)) => {
            // The new root is an unchanged copy of the physical root's mount, so its options show it. For an image, the options
            // of the filesystem show it: a kernel that mounts its root read-only does so for all mounts of it.
            let options = if is_image(new_root) { &physical.super_options } else { &new_root.options };
            Leftover::AroundPhysicalRoot { writable: !options.split(',').any(|option| option == "ro") }
        }
        _ => Leftover::Beside,
    }
}

/// What `sysroot` is prepared for: the topmost mount there, if the physical root is mounted below it.
pub(crate) fn prepared(mounts: &[MountEntry], sysroot: &Path) -> Option<PreparedFor> {
    let mount = top(mounts, sysroot)?;
    top(mounts, &sysroot.join("sysroot"))?;
    if is_image(mount) { Some(PreparedFor::Image) } else { deployment_of(mount).map(PreparedFor::Deployment) }
}

/// libostree and this program use this name for it.
fn is_image(mount: &MountEntry) -> bool {
    mount.fstype == "overlay" && mount.source == "composefs"
}

/// What `/` is, if it is the root of a deployment: its directory, or an overlay, as composefs has it.
pub(crate) fn root_of_deployment(mounts: &[MountEntry]) -> Option<String> {
    let mount = top(mounts, Path::new("/"))?;
    match deployment_of(mount) {
        Some(deployment) => Some(format!("/{deployment}")),
        None => (mount.fstype == "overlay").then(|| "an overlay".to_owned()),
    }
}

/// The deployment whose directory was mounted.
fn deployment_of(mount: &MountEntry) -> Option<DeploymentPath> {
    // On btrfs the path begins with that of the subvolume: ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL is its end.
    let root = mount.root.to_str()?;
    let (slash, _) = root.rmatch_indices('/').nth(4)?;
    root.get(slash.checked_add(1)?..)?.parse().ok()
}

/// The visible mount at a path: the last one that was mounted there.
pub(crate) fn top<'a>(mounts: &'a [MountEntry], target: &Path) -> Option<&'a MountEntry> {
    mounts.iter().rfind(|mount| mount.target == target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_formats::mountinfo::parse;

    const STAGING: &str = "/run/ostree/.private";
    const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

    fn table(lines: &[(&str, &str, &str)]) -> Vec<MountEntry> {
        let line = |(root, target, options): &(&str, &str, &str)| {
            format!("9 1 8:1 {root} {target} {options} - ext4 /dev/vda rw\n")
        };
        parse(lines.iter().map(line).collect::<String>().as_bytes())
    }

    fn deployment() -> String {
        format!("/ostree/deploy/debian/deploy/{SUM}.0")
    }

    #[test]
    fn a_prepared_root_is_known_by_its_mounts() {
        let sysroot = Path::new("/sysroot");
        let subvolume = format!("/root{}", deployment());
        for root in [&deployment(), &subvolume] {
            let mounts = table(&[("/", "/", "rw"), (root, "/sysroot", "rw"), ("/", "/sysroot/sysroot", "rw")]);
            assert_eq!(prepared(&mounts, sysroot).map(|p| p.to_string()), Some(deployment()));
        }
        let image = "9 1 0:9 / /sysroot ro - overlay composefs ro\n9 1 8:1 / /sysroot/sysroot ro - ext4 /dev/vda rw\n";
        assert_eq!(prepared(&parse(image.as_bytes()), sysroot), Some(PreparedFor::Image));
        assert_eq!(prepared(&table(&[("/", "/sysroot", "rw")]), sysroot), None);
        assert_eq!(prepared(&table(&[(&deployment(), "/sysroot", "rw")]), sysroot), None);
    }

    #[test]
    fn a_killed_run_is_told_by_where_the_physical_root_is() {
        let (staging, sysroot) = (Path::new(STAGING), Path::new("/sysroot"));
        let (d, inner) = (deployment(), format!("{STAGING}/sysroot"));
        assert_eq!(leftover(&table(&[("/", "/sysroot", "rw")]), staging, sysroot), Leftover::Nothing);
        let beside = table(&[("/", "/sysroot", "rw"), (&d, STAGING, "rw"), ("/", &inner, "rw")]);
        assert_eq!(leftover(&beside, staging, sysroot), Leftover::Beside);
        for (options, writable) in [("rw", true), ("ro,relatime", false)] {
            let around = table(&[(&d, STAGING, options), ("/", &inner, "ro")]);
            assert_eq!(leftover(&around, staging, sysroot), Leftover::AroundPhysicalRoot { writable });
        }
        for (disk, writable) in [("rw", true), ("ro", false)] {
            let image = format!(
                "9 1 0:9 / {STAGING} ro - overlay composefs ro\n9 1 8:1 / {STAGING}/sysroot ro - ext4 /dev/vda {disk}\n"
            );
            assert_eq!(leftover(&parse(image.as_bytes()), staging, sysroot), Leftover::AroundPhysicalRoot { writable });
        }
    }
}
