//! System calls: directories held by descriptor, trees and copies, locks, mounts, durability, the journal, the log, and text that is
//! safe to print.
//!
//! The only crate of the workspace with `unsafe`, each block with its reason. Wraps the system calls that no library wraps. Decides
//! nothing: a plan decides.

pub mod block_device;
pub mod columns;
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
pub mod namespaces;
pub mod notify;
pub mod output;
mod patience;
pub mod power;
pub mod printable;
pub mod proc;
pub mod program;
mod removal;
pub mod shell;
pub mod sync;
pub mod tree;
pub mod verity;
mod walk;
mod watchdog;
pub mod writable_mount;
pub mod xattr;

use std::fmt::Display;

use rustix::io::Errno;

/// A failed system call: operation, object, and the reason of the kernel.
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
    /// The message of the filesystem about a mount, if any.
    pub kernel: Option<Box<str>>,
}

fn kernel_message(message: &Option<Box<str>>) -> String {
    message.as_ref().map(|text| format!(" (kernel: {text})")).unwrap_or_default()
}

/// Adds operation and object to an errno.
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

/// One function for all calls, because there are many and the binary must stay small.
#[cold]
#[inline(never)]
fn system_error(operation: &'static str, object: &dyn Display, reason: Errno) -> SystemError {
    SystemError { operation, object: object.to_string().into(), reason, kernel: None }
}
