//! What a plan says about SELinux.

use ostree_sysroot::{Roots, deployment};
use rustix::io::Errno;
use selinux_policy::Found;
use serde::Serialize;

use crate::error::Error;
use crate::etc_merge::path::EtcPath;
use crate::execute::policy;
use crate::finalization::Finalization;
use crate::policy::changes::Decision;

/// The policy of the new deployment.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ShownSelinux {
    /// Its name.
    policy: Option<String>,
    /// `None`: `/etc` is not merged, or the new tree does not have this policy.
    decision: Option<Decision>,
    /// What the machine has changed in it.
    changed: Vec<EtcPath>,
    /// Why `--prepare` could not build it.
    not_built: Option<String>,
    /// Why it cannot be used for labels.
    unusable: Option<String>,
    /// Where this program runs.
    pub(super) domain: Option<String>,
}

impl ShownSelinux {
    /// `None`: the new tree has no policy.
    pub(super) fn of(roots: &Roots, plan: &Finalization) -> Result<Option<Self>, Error> {
        let found = match Found::of(deployment::open(roots, &plan.target)?) {
            Err(error) if error.reason == Errno::ACCESS && !rustix::process::geteuid().is_root() => Found::Nothing,
            other => other?,
        };
        let decided = plan.etc.as_ref().and_then(|etc| etc.policy.as_ref());
        let mut shown = match found {
            Found::Nothing if decided.is_none() => return Ok(None),
            Found::Nothing => Self::default(),
            Found::Policy(policy) => Self { policy: Some(policy.name), ..Self::default() },
            Found::Unusable(reason) => Self { unusable: Some(reason), ..Self::default() },
        };
        if let Some(decided) = decided {
            shown.policy = Some(decided.name.clone());
            shown.decision = Some(decided.decision);
            shown.changed.clone_from(&decided.changed);
            if decided.decision == Decision::Rebuild {
                shown.not_built = policy::earlier_failure(roots, plan);
            }
        }
        Ok(Some(shown))
    }

    /// The lines of the text.
    pub(super) fn lines(&self) -> Vec<String> {
        let name = self.policy.as_deref().unwrap_or("?");
        let mut lines = vec![match self.decision {
            Some(Decision::Shipped) => format!("SELinux policy {name}: as the new tree ships it"),
            Some(Decision::Rebuild) => format!("SELinux policy {name}: built again with this machine's changes"),
            Some(Decision::Keep) => format!(
                "SELinux policy {name}: kept as it is on this machine; its modules are in /var/lib/selinux, which an update does \
                 not replace"
            ),
            None => format!("SELinux policy {name}"),
        }];
        lines.extend(self.changed.iter().map(|path| format!("  changed: {path}")));
        lines.extend(self.not_built.iter().map(|reason| {
            format!("  it could not be built: {reason}; the machine's present policy would be used instead")
        }));
        lines.extend(self.unusable.iter().map(|reason| {
            format!("  it cannot be used for labels: {reason}; new files would get the labels of the older policy")
        }));
        lines.extend(self.domain.iter().map(|text| format!("  {text}")));
        lines
    }
}
