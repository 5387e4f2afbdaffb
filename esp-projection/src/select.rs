//! What systemd-boot boots next, and why: its own rules, on values. Pure.
//!
//! What is looked at are entries in files (type 1). Unified kernel images, and what the boot loader finds by itself (`auto-windows`), are
//! known by their names only: it is said where one of them may come before an entry.

mod choice;
mod entry;
mod glob;
mod hazard;
mod lines;
mod loader;
mod menu;
#[cfg(test)]
mod tests;
mod version;

pub use choice::{Choice, Chosen, Why, choose};
pub use entry::{MenuEntry, compare};
pub use hazard::{Hazard, hazards};
pub use loader::{Loader, info_in};
pub use menu::{Menu, Settings};
