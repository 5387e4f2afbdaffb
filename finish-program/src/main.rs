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

/// `ENOEXEC`.
const ENOEXEC: i32 = 8;

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
        Ok(status) if status.success() => Ok(()),
        // It is for another machine than this one.
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => Ok(()),
        other => {
            // What is there does not start, and must not be taken for the program.
            let _ = fs::remove_file(program);
            let how = other.map_or_else(|error| error.to_string(), |status| status.to_string());
            bail!(
                "{} does not start without its unwind tables ({how}): build with the release profile of Cargo.toml (lto = \"fat\")",
                program.display()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::finish;

    #[test]
    fn what_is_not_static_is_refused_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let error = finish(&std::env::current_exe().unwrap(), &directory.path().join("shipped")).unwrap_err();
        assert!(format!("{error:#}").contains("not static"), "{error:#}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
