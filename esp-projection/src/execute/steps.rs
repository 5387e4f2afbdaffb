//! Executes steps.

use std::os::fd::BorrowedFd;

use system::{Context, SystemError};

use super::directory::{make_directory, open_with_room, shown, sync};
use super::{file, payload, removal};
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
