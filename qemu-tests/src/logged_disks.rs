//! A machine of a kernel, busybox and one program, for filesystems that the kernel of this machine may not have. All that is done to its
//! disks is logged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::accelerator::Accelerator;
use crate::cache::Cache;
use crate::guest::Guest;
use crate::kernel::extract_elf;
use crate::qemu::{DiskDevice, Qemu, Start};
use crate::rootfs::Rootfs;
use crate::runs::fresh_directory;
use crate::small_initramfs;

const INIT: &str = include_str!("../guest/logged-disks-init.sh");
/// virtio_pci is a module in Debian 12, and built in later.
const DISKS: [&str; 2] = ["virtio_pci", "virtio_blk"];
const COMMAND_LINE: &str = "console=ttyS0 loglevel=4 panic=-1 mitigations=off tsc=reliable audit=0 8250.nr_uarts=1 init_on_alloc=0 \
                            cryptomgr.notests nowatchdog no_timer_check";

/// A disk.
#[derive(Clone, Debug)]
pub struct LoggedDisk {
    /// At most 20 bytes.
    pub name: String,
    /// Its content.
    pub image: PathBuf,
    /// Of all that is done to it. It need not exist.
    pub log: PathBuf,
}

/// What runs, on what.
#[derive(Debug)]
pub struct LoggedRun<'a> {
    /// Whose kernel.
    pub guest: Guest,
    /// Modules of this kernel besides those for disks.
    pub drivers: &'a [&'a str],
    /// Files of the initramfs. `/run-on NAME DEVICE` is called for each disk.
    pub files: &'a [(String, Vec<u8>)],
    /// The disks.
    pub disks: &'a [LoggedDisk],
}

impl LoggedRun<'_> {
    /// Runs it. Every disk's program must succeed.
    pub fn run(&self) -> Result<()> {
        let cache = Cache::open()?;
        let rootfs = Rootfs::of(self.guest, &cache)?;
        let directory = fresh_directory(&format!("logged-disks-{}", self.guest))?;
        let initramfs = directory.join("initramfs.img");
        let drivers: Vec<&str> = DISKS.iter().chain(self.drivers).copied().collect();
        let archive = small_initramfs::with_files(&rootfs, &drivers, INIT, self.files)?;
        fs::write(&initramfs, archive).with_context(|| format!("writing {}", initramfs.display()))?;
        let kernel = directory.join("vmlinux");
        let version = rootfs.kernel_version()?;
        extract_elf(&rootfs.path().join("usr/lib/modules").join(version).join("vmlinuz"), &kernel)?;
        for disk in self.disks {
            ensure!(disk.name.len() <= 20, "{}: the name of a disk is too long", disk.name);
            File::create(&disk.log).with_context(|| format!("creating {}", disk.log.display()))?;
        }
        let accelerator = Accelerator::find(&kernel, &rootfs.path().join("usr/bin/busybox"), &cache)?;
        let device = |disk: &LoggedDisk| DiskDevice {
            image: disk.image.clone(),
            serial: disk.name.clone(),
            writes: None,
            log: Some(disk.log.clone()),
        };
        let qemu = Qemu {
            start: Start::Kernel { kernel, initramfs, command_line: COMMAND_LINE.to_owned() },
            disks: self.disks.iter().map(device).collect(),
            accelerator,
            cpus: 1,
        };
        let console = directory.join("console.log");
        let status = qemu.start(&console)?.wait()?;
        ensure!(status.success(), "QEMU: {status}; the console of the machine: {}", console.display());
        self.all_succeeded(&console)
    }

    fn all_succeeded(&self, console: &Path) -> Result<()> {
        let text = fs::read(console).with_context(|| format!("reading {}", console.display()))?;
        let text = String::from_utf8_lossy(&text);
        for LoggedDisk { name, .. } in self.disks {
            let line = format!("succeeded: {name}");
            ensure!(text.lines().any(|found| found.trim_end() == line), "{name} failed: {}\n{text}", console.display());
        }
        Ok(())
    }
}
