//! What is on an OSTree disk. Every program that reads a disk reads it through this crate.
//!
//! It decides nothing and writes nothing. A file that does not exist is a value; every other failure is an error that is passed on.
//!
//! - [`roots`]: the directories that everything is looked up in.
//! - [`sysroot`]: the list of deployments that boots, made of [`loader_entries`], [`deployment`] and [`foreign_file`].
//! - [`boot_loader`]: which boot loader there is, and its files; [`grub`]: what GRUB reads, and the program that writes it.
//! - [`boot_links`]: where boot links lead; [`stateroots`]: which deployments have a directory. For both programs.
//! - [`booted`], [`kernel_layout`], [`bootcsum`]: one question each.
//! - [`list_digest`]: whether the list has changed.
//! - [`boot_contents`], [`compared_files`], [`leftovers`], [`free_space`]: what `/boot` and the physical root hold.
//! - [`boot_names`]: names below `/boot/ostree`. Pure.

pub mod boot_contents;
pub mod boot_links;
pub mod boot_loader;
pub mod boot_names;
pub mod bootcsum;
pub mod booted;
pub mod compared_files;
pub mod deployment;
pub mod error;
pub mod foreign_file;
pub mod free_space;
pub mod grub;
pub mod kernel_layout;
pub mod leftovers;
pub mod list_digest;
pub mod loader_entries;
pub mod roots;
pub mod same_files;
pub mod stateroots;
pub mod sysroot;

pub use error::SysrootError;
pub use roots::Roots;
pub use sysroot::Sysroot;
