//! What the disk says of a deployment on trial.

use ostree_formats::boot_attempts::{Count, Record};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::list_digest::ActiveList;

/// Both files. What is missing or damaged says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attempts {
    pub(crate) record: Record,
    pub(crate) count: Option<Count>,
    /// The attempt that an earlier run in this boot has counted.
    pub(crate) of_this_boot: Option<u32>,
}

/// The deployment that boots if the one on trial does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fallback {
    pub(crate) exists: bool,
    /// It has modules of the kernel that runs.
    pub(crate) has_this_kernel: bool,
    /// `ostree=` names its stateroot, whose `/var` is mounted later.
    pub(crate) has_this_stateroot: bool,
}

/// The two lists in `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lists {
    pub(crate) active: Option<ActiveList>,
    /// The first one of the other list; `None`: it cannot be told.
    pub(crate) default_of_older: Option<DeploymentPath>,
    /// A file of a boot loader that only the active list has.
    pub(crate) missing: Option<&'static str>,
}
