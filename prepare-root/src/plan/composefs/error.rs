//! Why an image cannot be the root.

use crate::facts::{IMAGE, Lack};

/// Why no decision is possible, or why the image cannot be the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComposefsError {
    #[error("the kernel argument ostree.prepare-root.composefs={0} must be no, maybe, yes, verity or signed")]
    BadArgument(String),
    #[error(
        "the kernel argument ostree.prepare-root.composefs={argument} is weaker than [composefs] enabled = {configured}; \
         [composefs] kernel-argument = strengthen forbids this"
    )]
    Weaker { argument: String, configured: &'static str },
    #[error(
        "a signature is demanded ({demanded}), but without an initramfs it proves nothing: program and keys are on the same disk. \
         To accept this, set [composefs] unverified-init = yes"
    )]
    SignedWithoutInitramfs {
        demanded: String,
        /// The kernel argument demands it, not the configuration.
        by_argument: bool,
    },
    #[error("[root] {key} needs composefs, which is off ({off})")]
    TransientWithoutComposefs {
        key: &'static str,
        off: String,
        /// The kernel argument switches it off, not the configuration.
        by_argument: bool,
    },
    #[error("[root] {0} needs composefs, but the deployment has no image {IMAGE}")]
    TransientWithoutImage(&'static str),
    #[error("composefs is demanded ({demanded}), but the deployment has no image {IMAGE}")]
    NoImage { demanded: String, at_boot_menu: AtBootMenu },
    #[error("the deployment's image {IMAGE} must be a file, but is {found}")]
    NotAFile { found: &'static str },
    #[error("a signature is demanded ({demanded}), but none was verified")]
    NotVerified { demanded: String },
    #[error(
        "a signature is demanded ({demanded}), but the image {IMAGE} is not sealed with fs-verity, \
         so it could be changed after the check"
    )]
    NotSealed { demanded: String },
    #[error("a signature is demanded ({demanded}), but {}", .lack.describe())]
    NoVerity { demanded: String, lack: Lack },
    #[error("the image {IMAGE} is sealed with hash algorithm {0}; signatures are only possible for SHA-256 (1)")]
    OtherAlgorithm(u16),
    #[error("the image {IMAGE} is not the signed one: its digest is {found}, the commit has {signed}")]
    WrongDigest { found: String, signed: String },
}

/// What helps in the boot menu if a demanded image stops the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AtBootMenu {
    /// Nothing: the configuration demands the image and forbids the argument, or needs the image for a transient root.
    #[default]
    Nothing,
    /// Switch the image off, and all verification with it.
    SwitchOff,
    /// Remove the argument: the configuration alone does not demand it.
    RemoveArgument,
}
