//! The SELinux policy of the new deployment: the part of the merge of `/etc` that cannot be done file by file.
//!
//! A policy is one thing that is built from many modules. Merged file by file, a machine with one module of its own would get the
//! new tree's modules with a binary policy that was built from the old ones. So it is decided as a whole:
//!
//! ```text
//! differences below /etc/selinux ─→ changes (pure) ─→ Shipped   nothing of the machine's: the new tree's policy stays as it is
//!                                                   ├→ Rebuild   --prepare: copy → sandbox → semodule; shutdown: apply
//!                                                   └→ Keep      the modules are in /var: the machine's policy as a whole
//! ```
//!
//! Whatever fails, the update is finalized with a coherent policy, and the user is told.

pub(crate) mod apply;
pub(crate) mod changes;
pub(crate) mod domain;
pub(crate) mod modules;
pub(crate) mod prepare;
mod rebuild;
pub(crate) mod sandbox;
pub(crate) mod settings;
pub(crate) mod which;
mod work;

use ostree_sysroot::{Roots, deployment};
use selinux_policy::{Found, Labels};
use system::SystemError;

use crate::finalization::Finalization;

/// Why an earlier `--prepare` could not build the policy, if it says so.
pub(crate) fn earlier_failure(roots: &Roots) -> Option<String> {
    work::failure(roots)
}

/// The labels for the new deployment's files. Where its policy cannot be used, they are those of the deployment that `/etc` is merged
/// from.
pub(crate) fn labels(roots: &Roots, plan: &Finalization) -> Result<Labels, SystemError> {
    let older = match &plan.etc {
        Some(etc) => Some(deployment::open(roots, &etc.from)?),
        None => None,
    };
    let labels = Labels::of(deployment::open(roots, &plan.target)?, older);
    if let Found::Unusable(reason) = labels.found() {
        log::warn!(
            "the SELinux policy of /{} cannot be used: {reason}; new files get the labels of the older one",
            plan.target
        );
    }
    Ok(labels)
}
