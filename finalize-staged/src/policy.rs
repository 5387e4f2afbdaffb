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

pub(crate) mod changes;
pub(crate) mod domain;
pub(crate) mod modules;
pub(crate) mod settings;
pub(crate) mod which;
