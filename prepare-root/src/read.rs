//! Reads the configuration, the disk and the mounts. Changes nothing.

pub(crate) mod attempts;
pub(crate) mod caller;
pub(crate) mod candidates;
pub(crate) mod commit_signature;
pub(crate) mod config;
pub(crate) mod deployment;
pub(crate) mod deployments;
pub(crate) mod facts;
pub(crate) mod later;
pub(crate) mod mount_state;
pub(crate) mod physical_root;
pub(crate) mod running_system;
pub(crate) mod scope;
