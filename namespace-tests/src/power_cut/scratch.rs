//! Space in memory where a disk is copied in no time: an XFS with reflinks in a sparse file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;
use qemu_tests::host;
use qemu_tests::mounted::Mounted;
use tempfile::TempDir;

/// It has to hold a few disks, of which little is written.
const SIZE: u64 = 8 << 30;

/// The space, in this process's mount namespace; gone when dropped.
#[derive(Debug)]
pub struct Scratch {
    // Unmounted first.
    mounted: Mounted,
    _directory: TempDir,
}

impl Scratch {
    /// Makes it.
    pub fn new() -> Result<Scratch> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let directory = tempfile::Builder::new().prefix("firstroot-power-cuts-").tempdir_in(place)?;
        let image = directory.path().join("image");
        File::create(&image).and_then(|file| file.set_len(SIZE)).context("making an image")?;
        run(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image).env("PATH", host::PATH))?;
        let mount_point = directory.path().join("mnt");
        std::fs::create_dir(&mount_point).context("making a mount point")?;
        let mounted = Mounted::at(&image, "loop,nouuid,discard", &mount_point)?;
        Ok(Scratch { mounted, _directory: directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// A directory in it.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }
}

/// Makes `to` a copy of `from`; one that is there is replaced.
pub(super) fn clone(from: &Path, to: &Path) -> Result<File> {
    let source = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    // A new file: nobody sees the pages of an older one.
    let _ = std::fs::remove_file(to);
    let file = File::options().read(true).write(true).create_new(true).open(to);
    let file = file.with_context(|| format!("making {}", to.display()))?;
    rustix::fs::ioctl_ficlone(&file, &source).with_context(|| format!("cloning {}", from.display()))?;
    Ok(file)
}
