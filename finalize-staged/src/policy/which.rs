//! Which policy the new `/etc` will have, and where its modules are: reads.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use selinux_policy::Config;
use system::dir;

use super::changes::{self, PolicyPlan};
use crate::etc_merge::plan::{EtcMergePlan, Step};
use crate::etc_merge::scan::Trees;

const CONFIG: &str = "selinux/config";
const SEMANAGE_CONF: &str = "selinux/semanage.conf";
const LIMIT: u64 = 1 << 20;

/// Takes the policy out of `plan`. `None`: the new tree has no such policy, or it cannot be read, and `/etc/selinux` is merged as every
/// other directory is.
pub(crate) fn take_out(trees: &Trees, plan: &mut EtcMergePlan) -> Option<PolicyPlan> {
    let config = merged(trees, plan, CONFIG)?;
    let name = Config::parse(&config).directory()?.to_owned();
    dir::open_directory(&trees.new, format!("selinux/{name}")).ok()?;
    let store = merged(trees, plan, SEMANAGE_CONF).and_then(|text| store_root(&text));
    Some(changes::take_out(plan, &name, store.as_deref() != Some("/etc/selinux")))
}

/// The text that a file will have after the merge.
fn merged(trees: &Trees, plan: &EtcMergePlan, path: &str) -> Option<String> {
    let is_it = |step: &&Step| step.path().relative() == path;
    let from = match plan.steps.iter().find(is_it) {
        Some(Step::Replace(_)) => trees.machine.as_fd(),
        Some(_) => return None,
        None => trees.new.as_fd(),
    };
    read(from, path)
}

fn read(etc: BorrowedFd<'_>, path: &str) -> Option<String> {
    match dir::read(etc, path, LIMIT) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(Errno::NOENT) => None,
        Err(error) => {
            log::warn!("cannot read /etc/{path}: {error}; /etc/selinux is merged file by file");
            None
        }
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
