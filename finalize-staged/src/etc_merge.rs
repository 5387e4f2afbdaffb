//! The merge of `/etc`: applies the machine's changes since its tree was deployed to the new tree.
//!
//! ```text
//! merge deployment: usr/etc (as shipped), etc (as it is now) ─┐
//! new deployment: etc ────────────────────────────────────────┴→ scan → Difference ─→ plan → EtcMergePlan ─→ execute
//!                                                                 reads               pure                   acts
//! ```
//!
//! The machine's version always wins. If no rule can decide, that is a [`conflict::Conflict`], which is found before anything is
//! changed.

pub(crate) mod before;
mod compare;
pub(crate) mod conflict;
pub(crate) mod difference;
pub(crate) mod execute;
pub(crate) mod known;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod save;
pub(crate) mod scan;
mod second_name;
#[cfg(test)]
mod tests;
