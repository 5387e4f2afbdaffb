//! Which policy the new `/etc` will have, and where its modules are: reads.

use std::os::fd::AsFd;

use rustix::io::Errno;
use selinux_policy::Config;
use system::{Context, SystemError, dir};

use super::changes::{self, PolicyPlan};
use crate::etc_merge::plan::{EtcMergePlan, Step};
use crate::etc_merge::scan::Trees;

const CONFIG: &str = "selinux/config";
const SEMANAGE_CONF: &str = "selinux/semanage.conf";
const LIMIT: u64 = 1 << 20;

/// Takes the policy out of `plan`. `None`: the new tree has no such policy, and `/etc/selinux` is merged as every other directory is.
///
/// # Errors
/// Whether there is a policy, and which, cannot be found out.
pub(crate) fn take_out(trees: &Trees, plan: &mut EtcMergePlan) -> Result<Option<PolicyPlan>, SystemError> {
    let Some(config) = merged(trees, plan, CONFIG)? else { return Ok(None) };
    let Some(name) = Config::parse(&config).directory().map(str::to_owned) else { return Ok(None) };
    let path = format!("selinux/{name}");
    match dir::open_directory(&trees.new, &path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.context("open", format_args!("/etc/{path} of the new tree"))?,
    };
    let store = merged(trees, plan, SEMANAGE_CONF)?.and_then(|text| store_root(&text));
    Ok(Some(changes::take_out(plan, &name, store.as_deref() != Some("/etc/selinux"))))
}

/// The text that a file will have after the merge; `None`: it will not be there, or is too large to be read.
fn merged(trees: &Trees, plan: &EtcMergePlan, path: &str) -> Result<Option<String>, SystemError> {
    let is_it = |step: &&Step| step.path().relative() == path;
    let from = match plan.steps.iter().find(is_it) {
        Some(Step::Replace(_)) => trees.machine.as_fd(),
        Some(_) => return Ok(None),
        None => trees.new.as_fd(),
    };
    match dir::read(from, path, LIMIT) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // Another kind of file says nothing about a policy.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::FBIG | Errno::ISDIR | Errno::INVAL | Errno::LOOP | Errno::NXIO) => {
            Ok(None)
        }
        Err(error) => Err(error).context("read", format_args!("/etc/{path}")),
    }
}

/// `store-root` of semanage.conf(5): the directory of the directories of modules. Without it they are in `/var/lib/selinux`.
fn store_root(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "store-root").then(|| value.trim().trim_matches('"').trim_end_matches('/').to_owned())
    };
    lines.filter_map(value).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_modules_are_where_semanage_conf_says() {
        assert_eq!(
            store_root("# store-root=/x\nmodule-store = direct\n store-root = /etc/selinux/\n").as_deref(),
            Some("/etc/selinux")
        );
        assert_eq!(store_root("store-root-x = /etc/selinux\n"), None);
    }
}
