//! Keeps the whole report in `/run`, where the system that boots after all finds it.

use std::path::Path;

use rustix::io::Errno;
use system::dir;
use system::printable::printable_lines;

use super::cause::{Cause, Failure};
use super::on_failure::a_system_runs;
use crate::facts::Caller;

/// Where it is.
const KEPT: &str = "/run/ostree/boot-failure";

/// Writes the report. `None`: it is not there, because no boot failed, or because `/run` cannot be written, which may be the failure.
pub(crate) fn keep(failure: &Failure, report: &str) -> Option<&'static Path> {
    // As PID 1 `/run` may be a directory of the disk, and nothing can be read after the failure.
    let is_boot = failure.caller != Caller::Pid1 && !matches!(failure.cause, Cause::SysrootIsRoot(_));
    let is_kept = is_boot && !a_system_runs() && write(report).is_ok();
    is_kept.then(|| Path::new(KEPT))
}

fn write(report: &str) -> Result<(), Errno> {
    let run = dir::open_root(Path::new("/run"))?;
    dir::make(&run, "ostree", 0o755)?;
    let ostree = dir::open_directory(&run, "ostree")?;
    dir::replace_volatile_file(&ostree, "boot-failure", printable_lines(report).as_bytes(), 0o644)
}
