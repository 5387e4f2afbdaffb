//! What the directories of a set say whose link `boot.N` is lost: the only true record of where its links led.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use ostree_formats::bootlink::{BootVersion, by_text};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_links::{LookupError, follow_by_text};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

/// The links of a set: path in it, and target.
pub(super) type Links = BTreeMap<String, String>;

/// The directories of a set that exist, and what they agree on.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Those that exist, with their number.
    pub(super) directories: Vec<(BootVersion, String)>,
    pub(super) links: Links,
}

/// Reads what is left of a set. A link on which two directories do not agree counts as lost.
pub(super) fn read(roots: &Roots, bootversion: BootVersion) -> Result<Record, SystemError> {
    let mut record = Record::default();
    let mut all = Vec::new();
    for number in [BootVersion::Zero, BootVersion::One] {
        let directory = format!("boot.{bootversion}.{number}");
        let path = format!("ostree/{directory}");
        let opened = dir::if_there(dir::open(&roots.sysroot, &path, OFlags::PATH | OFlags::NOFOLLOW));
        if opened.context("open", format_args!("/{path}"))?.is_some() {
            all.push(links(roots, &path)?);
            record.directories.push((number, directory));
        }
    }
    for links in &all {
        let undisputed = links
            .iter()
            .filter(|(path, target)| all.iter().all(|other| other.get(*path).is_none_or(|other| other == *target)));
        record.links.extend(undisputed.map(|(path, target)| (path.clone(), target.clone())));
    }
    Ok(record)
}

/// All links in the directory of a set. A file of another kind is none.
pub(super) fn links(roots: &Roots, set: &str) -> Result<Links, SystemError> {
    let names = |path: &str| {
        let names = match dir::names(&roots.sysroot, path) {
            Err(Errno::NOTDIR) => Ok(None),
            other => dir::if_there(other),
        };
        names.context("list", format_args!("/{path}")).map(Option::unwrap_or_default)
    };
    let mut found = Links::new();
    for stateroot in names(set)? {
        for bootcsum in names(&format!("{set}/{stateroot}"))? {
            for serial in names(&format!("{set}/{stateroot}/{bootcsum}"))? {
                let path = format!("{stateroot}/{bootcsum}/{serial}");
                match dir::read_link(&roots.sysroot, &format!("{set}/{path}")) {
                    Ok(target) => {
                        found.insert(path, target);
                    }
                    Err(Errno::NOENT | Errno::INVAL) => {}
                    Err(error) => {
                        return Err(error).context("read the boot link", format_args!("/{set}/{path}"));
                    }
                }
            }
        }
    }
    Ok(found)
}

impl Record {
    /// Where the link at `path` in the set led. `None`: that is lost.
    ///
    /// # Errors
    /// It leads to no deployment: then there is none to take instead of it.
    pub(super) fn deployment(&self, roots: &Roots, path: &str) -> Result<Option<DeploymentPath>, LookupError> {
        let Some(target) = self.links.get(path) else { return Ok(None) };
        for (_, directory) in &self.directories {
            let link = format!("/ostree/{directory}/{path}");
            match follow_by_text(roots.sysroot.as_fd(), &link) {
                Err(LookupError::Missing(_)) => {}
                other => return other.map(|found| Some(found.path)),
            }
        }
        // It was there when the record was read.
        Err(LookupError::Missing(by_text(path, target)))
    }
}
