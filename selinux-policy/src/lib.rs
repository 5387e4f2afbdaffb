//! SELinux: the policy in a tree, and the labels that it gives to paths.
//!
//! A policy never stops an update: what is wrong with one is a text for the user, and files get the label of another policy, or none.
//! So only the question whether there is one
//! can fail.

mod config;
mod labels;
mod policy;

pub use config::Config;
pub use labels::{Label, Labels, of, of_link};
pub use policy::{DIRECTORY, Found, Policy};
