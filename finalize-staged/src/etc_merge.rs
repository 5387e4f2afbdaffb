//! The merge of `/etc`: what the machine changed since its tree was deployed is carried over to the new tree.
//!
//! ```text
//! merge deployment: usr/etc (as shipped), etc (as it is now) ─┐
//! new deployment: etc ────────────────────────────────────────┴→ scan → Difference ─→ plan → EtcMergePlan ─→ execute
//!                                                                 reads               pure                   acts
//! ```
//!
//! The machine's version wins always. What nobody can decide for the machine is a [`plan::Conflict`], found before anything is
//! changed.

pub(crate) mod before;
mod compare;
pub(crate) mod difference;
pub(crate) mod execute;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod scan;
#[cfg(test)]
mod tests;
