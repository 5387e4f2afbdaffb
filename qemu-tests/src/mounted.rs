//! A disk image mounted on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::run;

/// How often a busy filesystem is tried again.
const BUSY_TRIES: usize = 50;

/// A mounted image; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
    mounted: bool,
    _directory: Option<TempDir>,
}

impl Mounted {
    /// Mounts `image` in a temporary directory.
    pub fn new(image: &Path, options: &str) -> Result<Mounted> {
        let directory = tempfile::Builder::new().prefix("firstroot-").tempdir().context("creating a mount point")?;
        let mut mounted = Mounted::at(image, options, directory.path())?;
        mounted._directory = Some(directory);
        Ok(mounted)
    }

    /// Mounts `image` at `path`.
    pub fn at(image: &Path, options: &str, path: &Path) -> Result<Mounted> {
        run(Command::new("mount").args(["-o", options]).arg(image).arg(path))?;
        Ok(Mounted { path: path.to_path_buf(), mounted: true, _directory: None })
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts it; a machine must not be started on an image that is not whole.
    pub fn unmount(mut self) -> Result<()> {
        self.mounted = false;
        let unmount = || run(Command::new("umount").arg(&self.path)).map(drop);
        // Busy while a program that another thread starts has not yet closed what it inherited.
        for _ in 0..BUSY_TRIES {
            match unmount() {
                Err(error) if error.to_string().contains("busy") => std::thread::sleep(Duration::from_millis(20)),
                other => return other,
            }
        }
        unmount()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.mounted {
            // On the way out of another error, which is the one to report.
            let _ = run(Command::new("umount").args(["--lazy"]).arg(&self.path));
        }
    }
}
