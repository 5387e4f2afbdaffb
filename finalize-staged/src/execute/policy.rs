//! Builds the SELinux policy of the new deployment and puts it into place: see [`crate::policy`].

pub(crate) mod apply;
pub(crate) mod prepare;
mod rebuild;
pub(crate) mod sandbox;
mod work;

use std::time::Duration;

use ostree_sysroot::{Roots, deployment};
use selinux_policy::{Found, Labels};
use system::SystemError;

use crate::finalization::Finalization;
use rebuild::Rebuild;

/// Why an earlier `--prepare` could not build the policy, if it says so.
pub(crate) fn earlier_failure(roots: &Roots, plan: &Finalization) -> Option<String> {
    let etc = plan.etc.as_ref()?;
    let (policy, limit) = (etc.policy.as_ref()?, Duration::ZERO);
    let rebuild = Rebuild { roots, target: &plan.target, from: &etc.from, policy, reset: plan.reset_etc, limit };
    rebuild.earlier_failure()
}

/// The labels for the new deployment's files. Where its policy cannot be used, they are those of the deployment that `/etc` is merged
/// from.
pub(crate) fn labels(roots: &Roots, plan: &Finalization) -> Result<Labels, SystemError> {
    let older = match &plan.etc {
        Some(etc) => Some(deployment::open(roots, &etc.from)?),
        None => None,
    };
    let labels = Labels::of(deployment::open(roots, &plan.target)?, older)?;
    if let Found::Unusable(reason) = labels.found() {
        log::warn!(
            "the SELinux policy of /{} cannot be used: {reason}; new files get the labels of the older one",
            plan.target
        );
    }
    Ok(labels)
}
