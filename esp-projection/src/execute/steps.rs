//! Executes steps.

use std::os::fd::BorrowedFd;

use system::{Context, SystemError};

use super::directory::{make_directory, open_with_room, shown, sync};
use super::payload::{self, Sources};
use super::{file, removal};
use crate::plan::Step;
use crate::target::ENTRIES;

/// Executes the steps on the target whose root is `target`. `progress` is called after each file.
///
/// # Errors
/// A file cannot be read or written. The steps before are done, and durable.
pub fn execute(
    steps: &[Step],
    sources: Sources<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    for step in steps {
        match step {
            Step::MakeDirectory(path) => make_directory(target, path)?,
            Step::WritePayload(payload) => payload::write(payload, sources, target, progress)?,
            Step::WriteEntry { name, text } => {
                let directory = open_with_room(target, ENTRIES)?;
                file::write(&directory, name, text.as_bytes()).context("write", shown(&format!("{ENTRIES}/{name}")))?;
            }
            Step::Sync => sync(target)?,
            Step::RemoveEntry(name) => removal::file(target, &format!("{ENTRIES}/{name}"))?,
            Step::RemoveTemporary(path) => removal::file(target, path)?,
            Step::RemoveFiles { directory, files } => removal::files(target, directory, files)?,
            Step::RemovePayload(path) => removal::payload(target, path)?,
        }
        progress();
    }
    Ok(())
}
