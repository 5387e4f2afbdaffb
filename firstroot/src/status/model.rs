//! The state of a system: values.

use serde::Serialize;

use crate::read::journal::LastFinalization;
use crate::read::policy::Policy;
use crate::read::programs::Replaced;

/// The state of a system.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct State {
    /// Deployments in the menu, in its order.
    pub(crate) deployments: Vec<ShownDeployment>,
    /// The path of the booted one.
    pub(crate) booted: Option<String>,
    /// What boots next.
    pub(crate) next: Option<Next>,
    pub(crate) staged: Option<ShownStaged>,
    /// The deployment that a soft reboot would start.
    pub(crate) soft_reboot: Option<String>,
    pub(crate) last_finalization: Option<LastFinalization>,
    /// The text of the stamp of a finalization that failed or was interrupted.
    pub(crate) failure: Option<String>,
    /// What a finalization that succeeded has left to say.
    pub(crate) remarks: Vec<String>,
    pub(crate) recovered: Option<Recovered>,
    /// Why another deployment is booted than the default one.
    pub(crate) fell_back: Option<String>,
    pub(crate) policy: Option<Policy>,
    /// libostree's name of the boot loader.
    pub(crate) boot_loader: Option<String>,
    pub(crate) programs: Vec<Replaced>,
    pub(crate) warnings: Vec<String>,
    /// What could not be seen, and why.
    pub(crate) not_seen: Vec<String>,
}

/// A deployment in the menu.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ShownDeployment {
    /// As `ostree admin` counts.
    pub(crate) index: usize,
    pub(crate) deployment: String,
    pub(crate) stateroot: String,
    pub(crate) commit: String,
    pub(crate) title: String,
    pub(crate) version: Option<String>,
    /// The boot loader entry.
    pub(crate) entry: String,
    pub(crate) booted: bool,
    pub(crate) pinned: bool,
    /// How often the boot loader still tries it, with boot counting.
    pub(crate) tries_left: Option<u32>,
}

/// What boots next.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Next {
    pub(crate) deployment: String,
    pub(crate) why: String,
}

/// What is staged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ShownStaged {
    pub(crate) deployment: String,
    pub(crate) version: Option<String>,
    pub(crate) locked: bool,
    /// A finalization of it was interrupted.
    pub(crate) interrupted: bool,
    /// Whether its kernel is in `/boot` already; `null`: that is not known.
    pub(crate) prepared: Option<bool>,
    /// Conflicts in `/etc`, with which it is not finalized.
    pub(crate) conflicts: Vec<String>,
}

/// A boot without its boot link.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recovered {
    pub(crate) missing: String,
    pub(crate) deployment: String,
    pub(crate) reason: String,
}
