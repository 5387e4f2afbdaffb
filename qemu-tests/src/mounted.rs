//! A disk image mounted on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::command::run;

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
        run(Command::new("umount").arg(&self.path)).map(drop)
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
