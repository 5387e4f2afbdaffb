//! Decides whether the root is a composefs image, and which seals and signatures it must have.

mod at_boot_menu;
mod error;
mod image_root;
mod mode;

pub(crate) use at_boot_menu::at_boot_menu;
pub(crate) use error::{AtBootMenu, ComposefsError};
pub(crate) use image_root::{ImageRoot, image_root};
pub(crate) use mode::{Decision, decide, require_possible, require_trust};
