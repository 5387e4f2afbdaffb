//! What a boot has found out so far, for the report of a failure and what happens after it.

use ostree_formats::cmdline::BootTarget;
use ostree_formats::prepare_root_conf::OnFailure;

use crate::plan::Counting;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) asked_for: Option<BootTarget>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) wants_shell: bool,
    /// The boot loader counts this boot (`firstroot.trial`), or this program does.
    pub(crate) is_trial: bool,
    /// Whether this program counts this boot, as soon as that is known.
    pub(crate) counting: Option<Counting>,
    /// The list of an older deployment could not be made the active one.
    pub(crate) list_stays: bool,
}
