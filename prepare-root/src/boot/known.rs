//! What a boot has found out so far, for the report of a failure and what happens after it.

use ostree_formats::cmdline::BootTarget;
use ostree_formats::prepare_root_conf::OnFailure;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) asked_for: Option<BootTarget>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) wants_shell: bool,
    /// `firstroot.trial`: the boot loader counts this boot.
    pub(crate) is_trial: bool,
}
