//! `/boot` on an ESP: what boots, as systemd-boot and the firmware can read it.
//!
//! `/boot` is the truth; below a few names of its own, the ESP has a projection of it. FAT has no journal, so nothing is ever changed
//! in place: what is new gets a name that no boot loader has read before, becomes durable, and only then what is old goes.
//!
//! - [`list`], [`target`]: what is to be there, and what is there. Values.
//! - [`plan`]: list × target → steps. Pure.
//! - [`assessment`]: what this boot is. Pure.
//! - [`read`]: both of them from the disk.
//! - [`execute`]: the steps, on FAT.
//! - [`select`]: what boots next, by the boot loader's rules. Pure.
//! - [`firmware`], [`install`]: what the firmware boots, and the changes that make it boot systemd-boot. Pure.
//! - [`settings`], [`projection`]: `esp.conf`, and the story. [`further`]: the same for the ESPs of other disks.

pub mod assessment;
pub mod execute;
pub mod firmware;
pub mod further;
pub mod install;
pub mod list;
pub mod plan;
pub mod projection;
pub mod read;
pub mod select;
pub mod settings;
pub mod target;
