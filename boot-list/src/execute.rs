//! Code that changes the disk. It decides nothing.

pub mod cleanup;
pub mod durability;
pub mod install;
pub mod journal;
pub mod kept_files;
pub mod labels;
pub mod older_list;
pub mod room;
pub mod sabotage;
pub mod transaction;
pub mod xfs_directory;

pub(crate) mod exchange;
mod refs;
