//! Which boot links are missing, and where they would lead.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_sysroot::Roots;
use ostree_sysroot::boot_links::{self, LookupError, follow_by_text};
use ostree_sysroot::roots::read_if_there;
use prepare_root::inspect;
use rustix::io::Errno;
use serde::Serialize;
use system::{Context, SystemError, dir};

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
    pub(super) links: BTreeMap<String, String>,
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
    let mut by_set: BTreeMap<BootVersion, Vec<Made>> = BTreeMap::new();
    for entry in &menu.entries {
        let link = &entry.link;
        match follow_by_text(place.roots.sysroot.as_fd(), &format!("/{link}")) {
            Ok(_) => continue,
            Err(error @ LookupError::Other { .. }) => return Err(error.to_string()),
            Err(_) => {}
        }
        match meant(place, link) {
            Ok(made) => by_set.entry(link.bootversion).or_default().push(made),
            Err(reason) => repair.unknown.push(Unknown { link: format!("/{link}"), reason }),
        }
    }
    for (bootversion, made) in by_set {
        repair.sets.push(set(&place.roots, bootversion, made)?);
    }
    Ok(repair)
}

/// The link, by the rules of a boot. What this boot was recovered by must not contradict it.
fn meant(place: &Place, link: &Bootlink) -> Result<Made, String> {
    let deployment = inspect::meant_by(&place.physical, link)?;
    let record = read_if_there(&place.roots.system, &"", "run/ostree/recovered-boot", 1 << 20);
    let record = record.map_err(|error| error.to_string())?.unwrap_or_default();
    let record = String::from_utf8_lossy(&record).into_owned();
    let value = |key: &str| record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    if value("missing") == Some(&format!("/{link}")) && value("deployment") != Some(&format!("/{deployment}")) {
        return Err(format!("this boot was recovered by another deployment than /{deployment}"));
    }
    Ok(Made {
        link: format!("/{link}"),
        target: format!("../../../deploy/{}/deploy/{}", deployment.stateroot, deployment.id),
        path: format!("{}/{}/{}", link.stateroot, link.bootcsum, link.bootserial),
        deployment: format!("/{deployment}"),
    })
}

/// The set with what it has, or, where it does not exist, with what the other one has.
fn set(roots: &Roots, bootversion: BootVersion, made: Vec<Made>) -> Result<NewSet, String> {
    let name = format!("boot.{bootversion}");
    let present = match dir::read_link(&roots.sysroot, &format!("ostree/{name}")) {
        Ok(target) => Some(target),
        Err(Errno::NOENT) => None,
        Err(Errno::INVAL) => return Err(format!("/ostree/{name} is not a link: firstroot does not know this layout")),
        Err(error) => {
            return Err(SystemError { operation: "read the link", object: name.into(), reason: error, kernel: None }
                .to_string());
        }
    };
    let number = match present.as_deref().map(|target| target.strip_prefix(&format!("{name}."))) {
        None => BootVersion::Zero,
        Some(Some("0")) => BootVersion::One,
        Some(Some("1")) => BootVersion::Zero,
        Some(_) => {
            return Err(format!(
                "/ostree/{name} leads to {}: firstroot does not know this layout",
                present.unwrap_or_default()
            ));
        }
    };
    let source = if present.is_some() { bootversion } else { bootversion.other() };
    let prefix = format!("ostree/boot.{source}/");
    let all = boot_links::list(roots.sysroot.as_fd()).all().map_err(|error| error.to_string())?;
    let mut links = BTreeMap::new();
    for link in all {
        let Some(path) = link.path.strip_prefix(&prefix) else { continue };
        match link.target {
            Ok(target) => {
                links.insert(path.to_owned(), target);
            }
            Err(Errno::NOENT) => {}
            Err(error) => {
                let error = Err::<(), _>(error).context("read the boot link", format_args!("/{}", link.path));
                error.map_err(|error| error.to_string())?;
            }
        }
    }
    links.extend(made.iter().map(|made| (made.path.clone(), made.target.clone())));
    Ok(NewSet { directory: format!("{name}.{number}"), replaces: present, name, made, links })
}
