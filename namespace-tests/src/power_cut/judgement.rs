//! Whether a machine boots from what a power cut left, and into what.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use super::root::Root;
use super::views::Listed;
use crate::finalize::Listing;

/// How many paths of a deployment are named when it is not whole.
const NAMED: usize = 3;

/// Looks at boot links and deployments; each deployment once.
pub(super) struct Judge<'a> {
    known: &'a Known,
    root: Root,
    looked_at: BTreeMap<String, Result<(), String>>,
}

impl<'a> Judge<'a> {
    pub(super) fn of(known: &'a Known, root: Root) -> Judge<'a> {
        Judge { known, root, looked_at: BTreeMap::new() }
    }

    /// What is wrong with these entries. After success the default must be the new system.
    pub(super) fn complaints(&mut self, entries: &[Listed], after_success: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut listed = BTreeSet::new();
        let mut default = None;
        for entry in entries {
            match self.deployment(entry) {
                Ok(deployment) => {
                    complaints.extend(self.files(entry, &deployment));
                    default.get_or_insert(deployment.clone());
                    listed.insert(deployment);
                }
                Err(why) => complaints.push(format!("{}: {why}", entry.name)),
            }
        }
        let (old, new) = (&self.known.old, &self.known.new);
        match default {
            None => complaints.push("no entry leads to a deployment".to_owned()),
            Some(default) if default == new.default => {}
            Some(_) if after_success => complaints.push("the default is not the new system, after success".to_owned()),
            Some(default) if default == old.default => {}
            Some(default) => complaints.push(format!("the default is {default}, neither the old nor the new one")),
        }
        let is_known =
            listed == old.deployments || listed == new.deployments || Some(&listed) == self.known.between.as_ref();
        if complaints.is_empty() && !is_known {
            complaints.push(format!("a list that is neither the old nor the new one: {listed:?}"));
        }
        complaints
    }

    /// The deployment that an entry leads to, if it is whole.
    fn deployment(&mut self, entry: &Listed) -> Result<String, String> {
        let link = entry.link.as_deref().ok_or("no ostree=")?;
        let deployment = self.root.deployment(link).map_err(|error| format!("{error:#}"))?;
        if !self.looked_at.contains_key(&deployment) {
            let result = self.whole(&deployment);
            self.looked_at.insert(deployment.clone(), result);
        }
        self.looked_at.get(&deployment).cloned().unwrap_or(Ok(()))?;
        Ok(deployment)
    }

    fn whole(&self, deployment: &str) -> Result<(), String> {
        let expected = self.known.content.get(deployment).ok_or(format!("{deployment}: nobody knows it"))?;
        let found = self.root.listing(deployment).map_err(|error| format!("{error:#}"))?;
        let paths: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let wrong: Vec<&str> = paths
            .into_iter()
            .filter(|path| expected.get(*path) != found.get(*path))
            .map(|path| path.trim_start_matches(deployment))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let named = wrong.get(..NAMED).unwrap_or(&wrong).join(", ");
        Err(format!("{deployment} is not whole: {} differ, {named}", wrong.len()))
    }

    /// Kernel and initramfs are those of the deployment.
    fn files(&self, entry: &Listed, deployment: &str) -> Vec<String> {
        let Some(listing) = self.known.content.get(deployment) else { return Vec::new() };
        let mut complaints = Vec::new();
        let mut compare = |what: &str, found: &Result<String, String>, suffix: &str| match found {
            Err(why) => complaints.push(format!("{}: {what}: {why}", entry.name)),
            Ok(content) if module(listing, suffix) == Some(content) => {}
            Ok(content) => complaints.push(format!("{}: {what} is not that of the deployment: {content}", entry.name)),
        };
        compare("kernel", &entry.kernel, "/vmlinuz");
        match entry.initramfs.as_slice() {
            [] => compare("initramfs", &Err("none".to_owned()), "/initramfs.img"),
            all => all.iter().for_each(|found| compare("initramfs", found, "/initramfs.img")),
        }
        complaints
    }
}

/// The content of the file in `usr/lib/modules/KVER` that ends so.
fn module<'a>(listing: &'a Listing, suffix: &str) -> Option<&'a String> {
    let is_it = |path: &str| path.contains("/usr/lib/modules/") && path.ends_with(suffix);
    listing.iter().find(|(path, _)| is_it(path))?.1.get("content")
}
