//! Why there can be no root that is an image.

use crate::facts::{IMAGE, Lack};

/// Why no decision is possible, or why the image cannot be the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComposefsError {
    #[error("the kernel argument ostree.prepare-root.composefs={0} is not one of no, maybe, yes, verity, signed")]
    BadArgument(String),
    #[error(
        "the kernel argument ostree.prepare-root.composefs={argument} is weaker than [composefs] enabled = {configured}, \
         and [composefs] kernel-argument = strengthen forbids that"
    )]
    Weaker { argument: String, configured: &'static str },
    #[error(
        "a signature is demanded ({demanded}), and without an initramfs nobody vouches for what looks at it: program and keys are on \
         the disk ([composefs] unverified-init = yes accepts that)"
    )]
    SignedWithoutInitramfs {
        demanded: String,
        /// The kernel argument demands it, and not the configuration.
        by_argument: bool,
    },
    #[error("[root] {key} needs composefs, which is off ({off})")]
    TransientWithoutComposefs {
        key: &'static str,
        off: String,
        /// The kernel argument switches it off, and not the configuration.
        by_argument: bool,
    },
    #[error("[root] {0} needs composefs, and the deployment has no image {IMAGE}")]
    TransientWithoutImage(&'static str),
    #[error("composefs is demanded ({demanded}), and the deployment has no image {IMAGE}")]
    NoImage { demanded: String, at_boot_menu: AtBootMenu },
    #[error("the deployment's image {IMAGE} should be a file: {found} is there")]
    NotAFile { found: &'static str },
    #[error("a signature is demanded ({demanded}), and none was verified")]
    NotVerified { demanded: String },
    #[error(
        "a signature is demanded ({demanded}), and the image {IMAGE} is not sealed with fs-verity: \
         it could be changed after it was looked at"
    )]
    NotSealed { demanded: String },
    #[error("a signature is demanded ({demanded}), and {}", .lack.describe())]
    NoVerity { demanded: String, lack: Lack },
    #[error("the image {IMAGE} is sealed with the hash algorithm number {0}, and only SHA-256 (1) is signed")]
    OtherAlgorithm(u16),
    #[error("the image {IMAGE} is not the one that was signed: its digest is {found}, the commit says {signed}")]
    WrongDigest { found: String, signed: String },
}

/// What whoever stands at the boot menu can do where an image that is demanded stops the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AtBootMenu {
    /// Nothing: the configuration demands it, and forbids the argument, or needs the image for a transient root.
    #[default]
    Nothing,
    /// Switch the image off, and all that is verified with it.
    SwitchOff,
    /// Remove the argument: the configuration alone does not demand it.
    RemoveArgument,
}
