//! The steps, on FAT.
//!
//! What Linux' vfat does decides how: a rename to a new name writes an entry of the directory with size 0, and only `fsync` of the file
//! fills it in; a file that is replaced or removed must stay open until the directory is durable, or its clusters are free before. A new
//! directory gets its name when its cluster is cleared, and one that boot loaders look into grows before anything in it counts.

mod changes;
mod directory;
mod file;
pub mod mounted;
mod payload;
mod removal;
mod sabotage;
#[cfg(test)]
mod tests;
mod variable;

use std::os::fd::BorrowedFd;

use system::{Context, SystemError};

pub use changes::{Places, carry_out};
pub use directory::sync;
use directory::{make_directory, open_with_room, shown};

use crate::plan::Step;
use crate::target::ENTRIES;

/// Executes the steps on the target whose root is `target`. `boot` is `/boot`, which payloads are copied from; `progress` is called after
/// each file.
///
/// # Errors
/// A file cannot be read or written. The steps before are done, and durable.
pub fn execute(
    steps: &[Step],
    boot: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    for step in steps {
        match step {
            Step::MakeDirectory(path) => make_directory(target, path)?,
            Step::WritePayload(payload) => payload::write(payload, boot, target, progress)?,
            Step::WriteEntry { name, text } => {
                let directory = open_with_room(target, ENTRIES)?;
                file::write(&directory, name, text.as_bytes()).context("write", shown(&format!("{ENTRIES}/{name}")))?;
            }
            Step::Sync => sync(target)?,
            Step::RemoveEntry(name) => removal::file(target, &format!("{ENTRIES}/{name}"))?,
            Step::RemoveTemporary(path) => removal::file(target, path)?,
            Step::RemovePayload(path) => removal::payload(target, path)?,
        }
        progress();
    }
    Ok(())
}
