//! Whole machines: Debian systems that the real `ostree` has deployed, booted in QEMU with our prepare-root or the peer's.
//!
//! ```text
//! Guest → Rootfs ─┬→ Initramfs ────────────→ Tree (OSTree commit) → Disks (deployed) ─┐
//!        Package ─┘   peer's or ours                                 copied, changed │
//!                                                                                   ↓
//!                                               Scenario → Machine → QEMU → Report, MountTable
//! ```
//!
//! What is left of `Machine` is made once and cached: see [`cache`]. A [`scenario::Scenario`] says what is special about one boot.

pub mod boot;
pub mod boot_entry;
pub mod booted_state;
pub mod cache;
pub mod catalogue;
pub mod command;
pub mod compare;
pub mod cpio;
pub mod disk;
pub mod dpkg;
pub mod dracut;
mod extlinux;
pub mod firmware;
mod grub;
pub mod guest;
pub mod host;
pub mod initramfs;
pub mod initramfs_tools;
pub mod journal;
pub mod labels;
pub mod logged_disks;
pub mod mounted;
pub mod mounts;
pub mod namespace;
pub mod package;
pub mod policies;
pub mod report;
pub mod rootfs;
pub mod scenario;
pub mod sealing;
mod secure_boot;
pub mod side_by_side;
pub mod signer;
mod silence;
pub mod small_initramfs;
pub mod staging;
pub mod stopwatch;
pub mod sysroot;
mod sysroot_kernel;
mod systemd_boot;
pub mod tree;
mod unpacked;

mod accelerator;
mod apt;
mod images;
mod kernel;
mod machine;
mod qemu;
mod refind;
mod runs;

pub use machine::{Console, EMERGENCY_SHELL, PowerCut};
