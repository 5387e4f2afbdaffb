//! Lists what is on the disk after a failed boot, only for the report.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::cmdline::BootTarget;
use ostree_formats::deployment::DeploymentId;
use ostree_formats::os_release::OsRelease;
use ostree_formats::{mountinfo, origin};
use ostree_sysroot::boot_links::{self, BootLink, BootLinks, LookupError};
use ostree_sysroot::stateroots;
use rustix::io::Errno;
use system::proc::Proc;
use system::{SystemError, dir};

use crate::facts::{Deployments, ListedDeployment, Scope, Unread};
use crate::plan::choice;
use crate::read::physical_root::{PhysicalRoot, PhysicalRootError};
use crate::read::scope::scope;
use crate::read::{deployments, mount_state};

/// The report shows at most this many of anything.
const MOST: usize = 16;
/// Origin files and os-release are a few lines.
const SMALL: u64 = 64 << 10;

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
    /// Deployments, in the order of their numbers.
    pub(crate) deployments: Vec<Surveyed>,
    /// All of them, and where one may be chosen from.
    pub(crate) numbered: Deployments,
    pub(crate) scope: Scope,
    /// Entries beside deployments whose names libostree does not make.
    pub(crate) other_names: Vec<String>,
    /// What could not be read.
    pub(crate) unread: Vec<Unread>,
}

/// A deployment that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surveyed {
    pub(crate) number: usize,
    pub(crate) listed: ListedDeployment,
    /// The ref or image that it follows.
    pub(crate) origin: Option<String>,
    /// Its name in os-release.
    pub(crate) title: Option<String>,
    /// It has the directories that each deployment has. A staged one has no `etc` yet.
    pub(crate) is_complete: bool,
    /// It has modules of the running kernel.
    pub(crate) has_modules: bool,
}

impl Survey {
    /// How many digits tell the deployments' checksums apart.
    pub(crate) fn digits(&self) -> usize {
        choice::digits_of(&self.numbered.list)
    }

    /// What is said if there is no OSTree system.
    pub(crate) fn of_no_system(&self) -> String {
        let in_root = match self.top_level.as_slice() {
            [] => "is empty".to_owned(),
            names => format!("has: {}", names.join(" ")),
        };
        format!("no boot links and no deployments; its root directory {in_root}")
    }

    /// Everything could be read, and nothing of an OSTree system was found.
    pub(crate) fn is_empty(&self) -> bool {
        let found = [self.boot_links.is_empty(), self.deployments.is_empty(), self.other_names.is_empty()];
        found == [true; 3] && self.unread.is_empty()
    }
}

/// Lists what is there. What cannot be read is reported as unreadable, never as absent.
pub(crate) fn survey(sysroot: &Path, asked_for: Option<&BootTarget>) -> Survey {
    let mut survey = Survey::default();
    if let Err(error) = look_around(sysroot, asked_for, &mut survey) {
        survey.unread.push((error.object.into(), error.reason));
    }
    survey
}

fn look_around(sysroot: &Path, asked_for: Option<&BootTarget>, survey: &mut Survey) -> Result<(), SystemError> {
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
    match scope(&physical, asked_for) {
        Ok(scope) => survey.scope = scope,
        Err(LookupError::Other { path, reason }) => survey.unread.push((path, reason)),
        Err(_) => {}
    }
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
        self.survey.numbered = deployments::list(self.physical);
        let Deployments { list, unlisted, unread } = self.survey.numbered.clone();
        self.survey.unread.extend(unlisted.into_iter().chain(unread));
        for (number, listed) in list.into_iter().enumerate().take(MOST) {
            let surveyed = self.look_at(number, listed);
            self.survey.deployments.push(surveyed);
        }
        // Also through links, which only a report may follow.
        let stateroots = dir::if_there(stateroots::names(self.physical.as_fd()));
        for (stateroot, _) in self.or_unread("ostree/deploy", stateroots).flatten().unwrap_or_default() {
            let directory = format!("ostree/deploy/{stateroot}/deploy");
            let names = dir::if_there(stateroots::names_in(self.physical.as_fd(), &stateroot, "deploy"));
            let names = self.or_unread(&directory, names).flatten().unwrap_or_default();
            let other = names.into_iter().filter(|name| !name.ends_with(".origin"));
            let other = other.filter(|name| name.parse::<DeploymentId>().is_err());
            self.survey.other_names.extend(other.map(|name| format!("/{directory}/{name}")));
        }
        self.survey.other_names.truncate(MOST);
    }

    fn look_at(&mut self, number: usize, listed: ListedDeployment) -> Surveyed {
        let path = &listed.path;
        let origin = dir::if_there(dir::read(self.physical, path.origin_file(), SMALL));
        let origin = self.or_unread(&path.origin_file(), origin).flatten();
        let mut surveyed = Surveyed {
            number,
            origin: origin.and_then(|bytes| origin::followed(&bytes)),
            title: None,
            is_complete: false,
            has_modules: false,
            listed: listed.clone(),
        };
        let directory = dir::if_there(dir::open_directory(self.physical, path.to_string()));
        let Some(directory) = self.or_unread(&path.to_string(), directory).flatten() else { return surveyed };
        let mut is_there = |inside: &str| {
            let opened = dir::if_there(dir::open_directory(&directory, inside));
            self.or_unread(&format!("{path}/{inside}"), opened).flatten().is_some()
        };
        surveyed.is_complete = ["usr", "etc", "sysroot"].into_iter().all(&mut is_there);
        let running = rustix::system::uname().release().to_string_lossy().into_owned();
        surveyed.has_modules = is_there(&format!("usr/lib/modules/{running}"));
        // Only a name: without it the version and the day remain.
        let os_release = dir::read(&directory, "usr/lib/os-release", SMALL).unwrap_or_default();
        surveyed.title = OsRelease::parse(&String::from_utf8_lossy(&os_release)).title().map(str::to_owned);
        surveyed
    }
}
