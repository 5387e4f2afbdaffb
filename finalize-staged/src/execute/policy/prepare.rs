//! `--prepare`: builds the policy while the administrator can still read the messages.

use std::time::Duration;

use ostree_sysroot::Roots;

use super::rebuild::Rebuild;
use crate::error::Error;
use crate::finalization::Finalization;
use crate::policy::changes::{Decision, PolicyPlan};
use crate::policy::domain::Domain;
use crate::policy::settings::{OnFailure, Settings};

/// No machine waits for it.
const LIMIT: Duration = Duration::from_secs(600);

/// Builds the policy if the plan needs that, and says what is wrong.
pub(crate) fn prepare(roots: &Roots, plan: &Finalization) -> Result<(), Error> {
    if let Some(domain) = Domain::of_this_process() {
        match domain.is_limited() {
            true => log::warn!("{}", domain.text()),
            false => log::info!("{}", domain.text()),
        }
    }
    let Some((etc, policy)) = plan.etc.as_ref().and_then(|etc| etc.policy.as_ref().map(|policy| (etc, policy))) else {
        return Ok(());
    };
    let settings = Settings::read(&roots.system);
    settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    match policy.decision {
        Decision::Rebuild => {}
        Decision::Shipped => return Ok(()),
        Decision::Keep => {
            log::info!(
                "the SELinux policy {} stays as it is on this machine: its modules are in /var/lib/selinux, which an update does not \
                 replace",
                policy.name
            );
            return Ok(());
        }
    }
    let rebuild = Rebuild {
        roots,
        target: &plan.target,
        from: &etc.from,
        policy,
        reset: plan.reset_etc,
        limit: settings.refresh_timeout.unwrap_or(LIMIT),
    };
    match rebuild.built(true, &mut || {}) {
        Ok(_) => log::info!("the SELinux policy {} is built with this machine's changes", policy.name),
        Err(reason) => {
            let reason = not_built(policy, &reason);
            if settings.on_refresh_failure == OnFailure::Fail {
                return Err(Error::Policy(reason));
            }
            log::warn!("{reason}; shutdown will use the machine's present policy instead");
        }
    }
    Ok(())
}

/// The message for the user.
pub(super) fn not_built(policy: &PolicyPlan, reason: &str) -> String {
    format!("the SELinux policy {} cannot be built with this machine's changes: {reason}", policy.name)
}
