//! Effects: directories held by descriptor, trees and copies, locks, mounts, durability, the journal, the log, and text that is safe to
//! print.
//!
//! The only crate of the workspace in which `unsafe` may stand, each block with its reason; everything that the kernel
//! offers and no library wraps is wrapped here. Decides nothing: what to do comes from a plan.

pub mod block_device;
pub mod copy;
pub mod dir;
pub mod entry;
pub mod exec;
pub mod image;
mod inode;
pub mod journal;
mod kind;
pub mod limits;
mod listing;
pub mod lock;
pub mod log;
mod loop_device;
pub mod mount;
mod mount_compat;
pub mod notify;
pub mod output;
mod patience;
pub mod power;
pub mod printable;
pub mod proc;
mod removal;
pub mod shell;
pub mod sync;
pub mod tree;
pub mod verity;
mod walk;
pub mod xattr;

use std::fmt::Display;

use rustix::io::Errno;

/// A system call that failed: what was being done, to what, and what the kernel said.
/// It is returned in many places, so it is small: what it owns has no room to grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {operation} {object}: {reason}{}", kernel_message(.kernel))]
pub struct SystemError {
    /// A verb: `mount`, `open`.
    pub operation: &'static str,
    /// The path, as the administrator would type it.
    pub object: Box<str>,
    /// errno.
    pub reason: Errno,
    /// What the filesystem itself said about a mount, where it did.
    pub kernel: Option<Box<str>>,
}

fn kernel_message(message: &Option<Box<str>>) -> String {
    message.as_ref().map(|text| format!(" (kernel: {text})")).unwrap_or_default()
}

/// Gives an errno its operation and object.
pub trait Context<T> {
    /// `operation` is a verb, `object` the path it is about.
    ///
    /// # Errors
    /// The same error with a name.
    fn context(self, operation: &'static str, object: impl Display) -> Result<T, SystemError>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn context(self, operation: &'static str, object: impl Display) -> Result<T, SystemError> {
        self.map_err(|reason| system_error(operation, &object, reason))
    }
}

/// One function for all calls: they are many, and each is on the way of a boot that goes well.
#[cold]
#[inline(never)]
fn system_error(operation: &'static str, object: &dyn Display, reason: Errno) -> SystemError {
    SystemError { operation, object: object.to_string().into(), reason, kernel: None }
}
