//! How a list of deployments is made to boot.
//!
//! [`plan`] decides, from what [`ostree_sysroot`] has read: the list, entries, boot links, which files of others are kept, and what
//! is removed. [`execute::transaction`] writes it, swaps it in and makes it durable; [`execute::cleanup`] removes what is unused
//! afterwards. [`loader`] is what differs between boot loaders: it asks which one there is, and writes what that one needs.
//!
//! This crate knows neither staging nor `/etc`.

pub mod execute;
pub mod loader;
pub mod plan;
pub mod watcher;
