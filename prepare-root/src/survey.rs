//! What there is on a disk that did not boot: looked up only then, and only to be shown.

use std::path::Path;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::{mountinfo, origin};
use rustix::fs::OFlags;
use system::dir;
use system::proc::Proc;

use crate::interrupted;
use crate::lookup;
use crate::physical_root::PhysicalRoot;

/// More than this of anything is not shown.
const MOST: usize = 16;
/// Origin files are a few lines.
const ORIGIN_LIMIT: u64 = 64 << 10;

/// The physical root's mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountedAs {
    pub(crate) source: String,
    pub(crate) fstype: String,
    pub(crate) options: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Survey {
    pub(crate) mounted: Option<MountedAs>,
    /// Names in the root directory.
    pub(crate) top_level: Vec<String>,
    /// Boot links with their targets, sorted.
    pub(crate) boot_links: Vec<(String, String)>,
    /// Deployments with what they follow, sorted.
    pub(crate) deployments: Vec<(DeploymentPath, Option<String>)>,
}

/// Looks around. What cannot be read is left out: the failure itself is what must be told.
pub(crate) fn survey(sysroot: &Path) -> Survey {
    let Ok(proc) = Proc::open() else { return Survey::default() };
    let mounts = mountinfo::parse(&proc.mountinfo().unwrap_or_default());
    let Ok(physical) = PhysicalRoot::open(sysroot, proc) else { return Survey::default() };
    let mounted = interrupted::top(&mounts, &physical.at).map(|mount| MountedAs {
        source: mount.source.to_string_lossy().into_owned(),
        fstype: mount.fstype.clone(),
        options: mount.options.clone(),
    });
    let mut top_level = dir::names(&physical, ".").unwrap_or_default();
    top_level.truncate(MOST);
    Survey { mounted, top_level, boot_links: boot_links(&physical), deployments: deployments(&physical) }
}

fn boot_links(physical: &PhysicalRoot) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for set in ["ostree/boot.0", "ostree/boot.1"] {
        for stateroot in dir::names(physical, set).unwrap_or_default() {
            for bootcsum in dir::names(physical, format!("{set}/{stateroot}")).unwrap_or_default() {
                let directory = format!("{set}/{stateroot}/{bootcsum}");
                for serial in dir::names(physical, &directory).unwrap_or_default() {
                    let link = format!("{directory}/{serial}");
                    let target = dir::open(physical, &link, OFlags::PATH | OFlags::NOFOLLOW)
                        .and_then(|link| dir::read_link(link, ""));
                    links.push((format!("/{link}"), target.unwrap_or_else(|error| error.to_string())));
                }
            }
        }
    }
    links.truncate(MOST);
    links
}

fn deployments(physical: &PhysicalRoot) -> Vec<(DeploymentPath, Option<String>)> {
    let stateroots = dir::names(physical, "ostree/deploy").unwrap_or_default();
    let mut deployments: Vec<_> =
        stateroots.iter().flat_map(|stateroot| lookup::deployments_of(physical, stateroot)).collect();
    deployments.truncate(MOST);
    let followed =
        |path: &DeploymentPath| origin::followed(&dir::read(physical, path.origin_file(), ORIGIN_LIMIT).ok()?);
    deployments.into_iter().map(|path| (path.clone(), followed(&path))).collect()
}
