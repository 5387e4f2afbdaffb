//! Which boot links are missing, and where they would lead.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::AsFd;

use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_links::{LookupError, follow_by_text};
use ostree_sysroot::roots::read_if_there;
use prepare_root::inspect;
use rustix::io::Errno;
use serde::Serialize;
use system::{Context, dir};

use super::record::{self, Links, Record};
use crate::place::Place;
use crate::read::menu;

/// A link that is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Made {
    pub(super) link: String,
    pub(super) deployment: String,
    #[serde(skip)]
    path: String,
    #[serde(skip)]
    target: String,
}

/// A link of which it is unknown where it led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Unknown {
    pub(super) link: String,
    pub(super) reason: String,
}

/// A set of links that is written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct NewSet {
    /// The name of the link to it: `boot.1`.
    pub(super) name: String,
    /// Its directory: `boot.1.0`.
    pub(super) directory: String,
    /// The directory that it replaces.
    pub(super) replaces: Option<String>,
    pub(super) made: Vec<Made>,
    /// All links in it: path and target.
    #[serde(skip)]
    pub(super) links: Links,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Repair {
    pub(super) sets: Vec<NewSet>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) done: bool,
}

/// Finds out.
pub(super) fn plan(place: &Place) -> Result<Repair, String> {
    let menu = menu::read(&place.roots).map_err(|error| error.to_string())?;
    let mut repair = Repair::default();
    let mut by_set: BTreeMap<BootVersion, (Source, Vec<Made>)> = BTreeMap::new();
    for entry in &menu.entries {
        let link = &entry.link;
        match follow_by_text(place.roots.sysroot.as_fd(), &format!("/{link}")) {
            Ok(_) => continue,
            Err(error @ LookupError::Other { .. }) => return Err(error.to_string()),
            Err(_) => {}
        }
        let (source, made) = match by_set.entry(link.bootversion) {
            Entry::Vacant(vacant) => vacant.insert((source(&place.roots, link.bootversion)?, Vec::new())),
            Entry::Occupied(known) => known.into_mut(),
        };
        match recorded(place, source, link).and_then(|found| found.map_or_else(|| meant(place, link), Ok)) {
            Ok(deployment) => made.push(Made::new(link, &deployment)),
            Err(reason) => repair.unknown.push(Unknown { link: format!("/{link}"), reason }),
        }
    }
    for (bootversion, (source, made)) in by_set {
        if !made.is_empty() {
            repair.sets.push(set(bootversion, source, made));
        }
    }
    Ok(repair)
}

/// What there is of a set.
#[derive(Debug)]
enum Source {
    /// It exists: the number of its directory, and its links.
    Present(BootVersion, Links),
    /// The link to it does not exist. No link of the other set is in it: that one boots other deployments.
    Lost(Record),
}

fn source(roots: &Roots, bootversion: BootVersion) -> Result<Source, String> {
    let name = format!("boot.{bootversion}");
    let unknown_layout = |what: &str| format!("/ostree/{name} {what}: firstroot does not know this layout");
    let target = match dir::read_link(&roots.sysroot, &format!("ostree/{name}")) {
        Err(Errno::INVAL) => return Err(unknown_layout("is not a link")),
        other => dir::if_there(other).context("read the link", format_args!("/ostree/{name}")),
    };
    let Some(target) = target.map_err(|error| error.to_string())? else {
        return record::read(roots, bootversion).map(Source::Lost).map_err(|error| error.to_string());
    };
    let number = match target.strip_prefix(&format!("{name}.")) {
        Some("0") => BootVersion::Zero,
        Some("1") => BootVersion::One,
        _ => return Err(unknown_layout(&format!("leads to {target}"))),
    };
    let links = record::links(roots, &format!("ostree/{name}")).map_err(|error| error.to_string())?;
    Ok(Source::Present(number, links))
}

/// Where a link led, if what is left of its set says so.
fn recorded(place: &Place, source: &Source, link: &Bootlink) -> Result<Option<DeploymentPath>, String> {
    match source {
        Source::Present(..) => Ok(None),
        Source::Lost(record) => record.deployment(&place.roots, &in_set(link)).map_err(|error| error.to_string()),
    }
}

/// The link, by the rules of a boot. What this boot was recovered by must not contradict it.
fn meant(place: &Place, link: &Bootlink) -> Result<DeploymentPath, String> {
    let deployment = inspect::meant_by(&place.physical, link)?;
    let record = read_if_there(&place.roots.system, &"", "run/ostree/recovered-boot", 1 << 20);
    let record = record.map_err(|error| error.to_string())?.unwrap_or_default();
    let record = String::from_utf8_lossy(&record).into_owned();
    let value = |key: &str| record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("missing") == Some(&format!("/{link}")) && value("deployment") != Some(&format!("/{deployment}")) {
        return Err(format!("this boot was recovered by another deployment than /{deployment}"));
    }
    Ok(deployment)
}

impl Made {
    fn new(link: &Bootlink, deployment: &DeploymentPath) -> Self {
        Self {
            link: format!("/{link}"),
            target: format!("../../../deploy/{}/deploy/{}", deployment.stateroot, deployment.id),
            path: in_set(link),
            deployment: format!("/{deployment}"),
        }
    }
}

fn in_set(link: &Bootlink) -> String {
    format!("{}/{}/{}", link.stateroot, link.bootcsum, link.bootserial)
}

/// The set with what it has, and what is made. It never takes the place of the only record.
fn set(bootversion: BootVersion, source: Source, made: Vec<Made>) -> NewSet {
    let name = format!("boot.{bootversion}");
    let (number, replaces, mut links) = match source {
        Source::Present(number, links) => (number.other(), Some(format!("{name}.{number}")), links),
        Source::Lost(Record { mut directories, links }) => match directories.pop() {
            Some((number, directory)) => (number.other(), Some(directory), links),
            None => (BootVersion::Zero, None, links),
        },
    };
    links.extend(made.iter().map(|made| (made.path.clone(), made.target.clone())));
    NewSet { directory: format!("{name}.{number}"), replaces, name, made, links }
}

#[cfg(test)]
mod tests;
