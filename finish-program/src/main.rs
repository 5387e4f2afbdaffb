//! `finish-program LINKED SHIPPED`: makes the shipped program from the linker's output.
//!
//! It refuses a program that is not static, and takes the unwind tables out. It is a crate of its own, so that a packager
//! who builds the programs builds no tests with them.

mod linkage;
mod unwinding;

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [linked, shipped] = arguments.as_slice() else { bail!("usage: finish-program LINKED SHIPPED") };
    finish(linked.as_ref(), shipped.as_ref())
}

fn finish(linked: &Path, shipped: &Path) -> Result<()> {
    let mut program = fs::read(linked).with_context(|| format!("reading {}", linked.display()))?;
    linkage::require_static(&program).with_context(|| linked.display().to_string())?;
    unwinding::remove_tables(&mut program).with_context(|| linked.display().to_string())?;
    // By a rename, because a running program cannot be written to.
    let new = shipped.with_extension("new");
    fs::write(&new, program).with_context(|| format!("writing {}", new.display()))?;
    fs::set_permissions(&new, Permissions::from_mode(0o755)).context("making the program executable")?;
    require_start(&new)?;
    fs::rename(&new, shipped).with_context(|| format!("writing {}", shipped.display()))
}

/// The start of a program may register its unwind tables, if it was linked otherwise than `Cargo.toml` says: without them it is killed.
fn require_start(program: &Path) -> Result<()> {
    match Command::new(program).arg("--version").stdout(Stdio::null()).status() {
        Ok(status) if !status.success() => {
            // It must not be taken for the program.
            let _ = fs::remove_file(program);
            bail!(
                "{} does not start without its unwind tables ({status}): build with the release profile of Cargo.toml (lto = \"fat\")",
                program.display()
            )
        }
        // What cannot be executed here is for another machine, or is on a filesystem that executes nothing.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{finish, require_start};

    #[test]
    fn what_is_killed_at_its_start_is_refused_and_what_is_for_another_machine_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        for (content, starts) in [("#!/bin/sh\nkill -SEGV $$\n", false), ("#!/bin/sh\n", true), ("\x7fELF", true)] {
            fs::write(&program, content).unwrap();
            fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
            let text = require_start(&program).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!((text.is_empty(), program.exists()), (starts, starts), "{content:?}: {text}");
        }
    }

    #[test]
    fn what_is_not_static_is_refused_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let error = finish(&std::env::current_exe().unwrap(), &directory.path().join("shipped")).unwrap_err();
        assert!(format!("{error:#}").contains("not static"), "{error:#}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
