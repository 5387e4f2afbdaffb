//! Lists what is on the disk after a failed boot, only for the report.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::{mountinfo, origin};
use ostree_sysroot::boot_links::{self, BootLink, BootLinks};
use ostree_sysroot::stateroots;
use rustix::io::Errno;
use system::proc::Proc;
use system::{SystemError, dir};

use crate::read::mount_state;
use crate::read::physical_root::{PhysicalRoot, PhysicalRootError};

/// The report shows at most this many of anything.
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
    /// Deployments with their origins, sorted.
    pub(crate) deployments: Vec<(DeploymentPath, Option<String>)>,
    /// Entries beside deployments whose names libostree does not make.
    pub(crate) other_names: Vec<String>,
    /// What could not be read.
    pub(crate) unread: Vec<Unread>,
}

impl Survey {
    /// Everything could be read, and nothing of an OSTree system was found.
    pub(crate) fn is_empty(&self) -> bool {
        let found = [self.boot_links.is_empty(), self.deployments.is_empty(), self.other_names.is_empty()];
        found == [true; 3] && self.unread.is_empty()
    }
}

/// A path, and why it could not be read.
pub(crate) type Unread = (String, Errno);

/// Lists what is there. What cannot be read is reported as unreadable, never as absent.
pub(crate) fn survey(sysroot: &Path) -> Survey {
    let mut survey = Survey::default();
    if let Err(error) = look_around(sysroot, &mut survey) {
        survey.unread.push((error.object.into(), error.reason));
    }
    survey
}

fn look_around(sysroot: &Path, survey: &mut Survey) -> Result<(), SystemError> {
    let proc = Proc::open()?;
    let mounts = mountinfo::parse(&proc.mountinfo()?);
    let physical = match PhysicalRoot::open(sysroot, proc) {
        Ok(physical) => physical,
        Err(PhysicalRootError::System(error)) => return Err(error),
        Err(PhysicalRootError::NotMounted(_)) => return Ok(()),
    };
    survey.mounted = mount_state::top(&mounts, &physical.at).map(|mount| MountedAs {
        source: mount.source.to_string_lossy().into_owned(),
        fstype: mount.fstype.clone(),
        options: mount.options.clone(),
    });
    Look { physical: &physical, survey }.around();
    Ok(())
}

struct Look<'a> {
    physical: &'a PhysicalRoot,
    survey: &'a mut Survey,
}

impl Look<'_> {
    fn around(&mut self) {
        self.survey.top_level = self.names(".");
        self.survey.top_level.truncate(MOST);
        self.boot_links();
        self.deployments();
        self.survey.unread.truncate(MOST);
    }

    /// The names in a directory; none if it does not exist.
    fn names(&mut self, path: &str) -> Vec<String> {
        let names = dir::if_there(dir::names(self.physical, path));
        self.or_unread(path, names).flatten().unwrap_or_default()
    }

    fn or_unread<T>(&mut self, path: &str, result: Result<T, Errno>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(reason) => {
                self.survey.unread.push((format!("/{}", path.trim_start_matches('.')), reason));
                None
            }
        }
    }

    fn boot_links(&mut self) {
        let BootLinks { links, unread } = boot_links::list(self.physical.as_fd());
        let shown = links.into_iter().map(|BootLink { path, target }| {
            let target = target.unwrap_or_else(|error| error.to_string());
            (format!("/{path}"), target)
        });
        self.survey.boot_links = shown.take(MOST).collect();
        self.survey.unread.extend(unread.into_iter().map(|(path, reason)| (format!("/{path}"), reason)));
    }

    fn deployments(&mut self) {
        let mut all: Vec<DeploymentPath> = Vec::new();
        // Also through links, which only a report may follow.
        let stateroots = dir::if_there(stateroots::names(self.physical.as_fd()));
        for (stateroot, _) in self.or_unread("ostree/deploy", stateroots).flatten().unwrap_or_default() {
            let directory = format!("ostree/deploy/{stateroot}/deploy");
            let names = dir::if_there(stateroots::names_in(self.physical.as_fd(), &stateroot, "deploy"));
            let names = self.or_unread(&directory, names).flatten().unwrap_or_default();
            for name in names.into_iter().filter(|name| !name.ends_with(".origin")) {
                match format!("{directory}/{name}").parse() {
                    Ok(path) => all.push(path),
                    Err(_) => self.survey.other_names.push(format!("/{directory}/{name}")),
                }
            }
        }
        self.survey.other_names.truncate(MOST);
        all.truncate(MOST);
        for path in all {
            let origin = dir::if_there(dir::read(self.physical, path.origin_file(), ORIGIN_LIMIT));
            let origin = self.or_unread(&path.origin_file(), origin).flatten();
            self.survey.deployments.push((path, origin.and_then(|bytes| origin::followed(&bytes))));
        }
    }
}
