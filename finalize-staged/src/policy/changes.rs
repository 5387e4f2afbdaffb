//! What the machine has changed in its policy, and what the new deployment gets: pure.

use serde::Serialize;

use crate::etc_merge::path::EtcPath;
use crate::etc_merge::plan::{EtcMergePlan, Step};

/// The directory of all policies in `/etc`.
const SELINUX: &[u8] = b"selinux";

/// Files that `semodule --refresh` writes anew, whatever the machine has changed, relative to the directory of a policy.
/// libostree runs it at every update, so these differ on every machine.
const REWRITTEN: [&str; 7] = [
    "active/commit_num",
    "active/modules_checksum",
    "active/policy.kern",
    "active/policy.linked",
    "active/seusers.linked",
    "active/users_extra.linked",
    "contexts/files/file_contexts.bin",
];
/// Names of which `semodule` makes and leaves files and directories.
const LEFT_BEHIND: [&str; 5] = ["tmp", "previous", "semanage.read.LOCK", "semanage.trans.LOCK", "policy"];
/// Beside the policies: its directory for files that it is about to install.
const FINAL: &str = "final";

/// Files in `/etc` that are read while a policy is built: for contexts of home directories, and for users that have a name in it.
pub(crate) const USERS: [&str; 7] =
    ["passwd", "group", "shells", "login.defs", "default/useradd", "libuser.conf", "nsswitch.conf"];

/// What becomes of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PolicyPlan {
    /// `SELINUXTYPE` of the new `/etc`.
    pub(crate) name: String,
    /// The decision.
    pub(crate) decision: Decision,
    /// The machine's changes, without files that only `semodule --refresh` has written.
    pub(crate) changed: Vec<EtcPath>,
    /// The steps of these changes, and of the files that choose and configure the policy.
    #[serde(skip)]
    pub(crate) steps: Vec<Step>,
    /// Files of the machine beside the policy from which homes and users are read while it is built.
    #[serde(skip)]
    pub(crate) users: Vec<EtcPath>,
}

/// Which policy the new deployment gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Decision {
    /// The new tree's, whole.
    Shipped,
    /// The new tree's modules with the machine's changes, built again.
    Rebuild,
    /// The machine's, whole: its modules are in `/var`, and no update replaces them.
    Keep,
}

impl PolicyPlan {
    /// The directory of the policy.
    pub(crate) fn directory(&self) -> EtcPath {
        EtcPath::default().join(SELINUX).join(self.name.as_bytes())
    }
}

/// Takes the policy `name` out of `plan`. `store_in_var`: the modules are not in `/etc/selinux`.
///
/// Without a change of the machine the policy is left out of the merge, so that it stays the new tree's.
pub(crate) fn take_out(plan: &mut EtcMergePlan, name: &str, store_in_var: bool) -> PolicyPlan {
    let selinux = EtcPath::default().join(SELINUX);
    let (directory, scratch) = (selinux.join(name.as_bytes()), selinux.join(FINAL.as_bytes()));
    let configuration = [selinux.join(b"config"), selinux.join(b"semanage.conf")];
    let users = USERS.iter().map(|name| EtcPath::default().join(name.as_bytes()));
    let users = users.filter(|path| plan.steps.contains(&Step::Replace(path.clone()))).collect();
    let is_of_policy = |path: &EtcPath| path == &directory || path.is_below(&directory);
    let is_scratch = |path: &EtcPath| path == &scratch || path.is_below(&scratch);
    // With modules in /var a refresh does nothing, so the machine has changed what differs.
    let is_rewritten = |path: &EtcPath| !store_in_var && is_rewritten(path, &directory);
    let changes = plan.added.iter().chain(&plan.modified).chain(&plan.removed);
    let changed: Vec<EtcPath> = changes.filter(|path| is_of_policy(path) && !is_rewritten(path)).cloned().collect();
    let mut steps = Vec::new();
    plan.steps.retain(|step| {
        let path = step.path();
        // semodule reads these two, which are merged as ever.
        if is_of_policy(path) && !is_rewritten(path) || configuration.contains(path) {
            steps.push(step.clone());
        }
        !is_of_policy(path) && !is_scratch(path)
    });
    for list in [&mut plan.added, &mut plan.modified, &mut plan.removed] {
        list.retain(|path| !is_of_policy(path) && !is_scratch(path));
    }
    plan.conflicts.retain(|conflict| !is_scratch(&conflict.path));
    let decision = match (changed.is_empty(), store_in_var) {
        (true, _) => Decision::Shipped,
        (false, false) => Decision::Rebuild,
        (false, true) => Decision::Keep,
    };
    PolicyPlan { name: name.to_owned(), decision, changed, steps, users }
}

fn is_rewritten(path: &EtcPath, directory: &EtcPath) -> bool {
    let Some(inner) = path.below(directory) else { return false };
    if REWRITTEN.iter().any(|name| inner == name.as_bytes()) || inner.ends_with(b".bin") {
        return true;
    }
    LEFT_BEHIND
        .iter()
        .any(|name| inner.strip_prefix(name.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'/', ..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn path(text: &str) -> EtcPath {
        EtcPath::from_relative(OsStr::new(text)).unwrap()
    }

    /// `modified` are files that differ, `added` files of the machine.
    fn planned(modified: &[&str], added: &[&str], store_in_var: bool) -> (PolicyPlan, EtcMergePlan) {
        let paths = |list: &[&str]| list.iter().map(|text| path(text)).collect::<Vec<_>>();
        let (modified, added) = (paths(modified), paths(added));
        let steps = modified.iter().chain(&added).cloned().map(Step::Replace).collect();
        let mut plan = EtcMergePlan { steps, added, modified, ..EtcMergePlan::default() };
        (take_out(&mut plan, "targeted", store_in_var), plan)
    }

    #[test]
    fn what_only_a_refresh_has_written_does_not_count() {
        let rewritten = [
            "selinux/targeted/active/commit_num",
            "selinux/targeted/active/policy.kern",
            "selinux/targeted/policy/policy.33",
            "selinux/targeted/semanage.trans.LOCK",
            "selinux/targeted/contexts/files/file_contexts.homedirs.bin",
        ];
        let left = ["selinux/final", "selinux/final/targeted/policy/policy.33", "selinux/targeted/tmp/modules/x"];
        let (policy, plan) = planned(&rewritten, &left, false);
        assert_eq!((policy.decision, policy.changed.len()), (Decision::Shipped, 0));
        assert_eq!(plan, EtcMergePlan::default());
    }

    #[test]
    fn every_other_change_is_the_machines() {
        for changed in [
            "selinux/targeted/active/modules/400/mine/cil",
            "selinux/targeted/active/booleans.local",
            "selinux/targeted/active/modules/disabled/x",
            "selinux/targeted/contexts/files/file_contexts.local",
            "selinux/targeted/contexts/files/file_contexts",
            "selinux/targeted/contexts/files/file_contexts.homedirs",
            "selinux/targeted/seusers",
            "selinux/targeted/policyx",
        ] {
            let (policy, plan) = planned(&["selinux/targeted/active/commit_num", "passwd"], &[changed], false);
            assert_eq!((policy.decision, policy.changed), (Decision::Rebuild, vec![path(changed)]), "{changed}");
            assert_eq!(policy.steps, [Step::Replace(path(changed))]);
            assert_eq!(plan.steps, [Step::Replace(path("passwd"))]);
        }
    }

    #[test]
    fn other_policies_and_files_beside_them_are_merged_as_ever() {
        let beside = ["selinux/config", "selinux/semanage.conf", "selinux/mls/policy/policy.33"];
        let (policy, plan) = planned(&beside, &[], false);
        assert_eq!((policy.decision, plan.steps.len()), (Decision::Shipped, beside.len()));
    }

    #[test]
    fn what_chooses_the_policy_and_whose_homes_it_labels_is_there_while_it_is_built() {
        let edits = ["selinux/config", "selinux/semanage.conf", "passwd", "default/useradd", "hostname"];
        let (policy, plan) = planned(&edits, &["selinux/targeted/active/booleans.local"], false);
        let wanted = ["selinux/config", "selinux/semanage.conf", "selinux/targeted/active/booleans.local"];
        assert_eq!(policy.steps, wanted.map(|text| Step::Replace(path(text))));
        assert_eq!((policy.users, plan.steps.len()), (vec![path("passwd"), path("default/useradd")], edits.len()));
    }

    #[test]
    fn with_modules_in_var_the_machines_policy_is_kept_whole() {
        let (policy, _) = planned(&["selinux/targeted/policy/policy.33"], &[], true);
        assert_eq!(policy.decision, Decision::Keep);
        assert_eq!(planned(&[], &[], true).0.decision, Decision::Shipped);
    }
}
