//! The merge of `/etc`: what the machine changed since its tree was deployed is carried over to the new tree.
//!
//! ```text
//! merge deployment: usr/etc (as shipped), etc (as it is now) ─┐
//! new deployment: etc ────────────────────────────────────────┴→ scan → Difference ─→ plan → EtcMergePlan ─→ execute
//!                                                                 reads               pure                   acts
//! ```
//!
//! The machine's version wins always. What nobody can decide for the machine is a [`conflict::Conflict`], found before anything is
//! changed.

pub(crate) mod before;
mod compare;
pub(crate) mod conflict;
pub(crate) mod difference;
pub(crate) mod execute;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod restore;
pub(crate) mod save;
pub(crate) mod scan;
mod second_name;
#[cfg(test)]
mod tests;
