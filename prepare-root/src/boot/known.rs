//! What was learnt on the way, for the report and for what follows it.

use ostree_formats::cmdline::BootTarget;
use ostree_formats::prepare_root_conf::OnFailure;

/// As far as a boot came.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) asked_for: Option<BootTarget>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) wants_shell: bool,
}
