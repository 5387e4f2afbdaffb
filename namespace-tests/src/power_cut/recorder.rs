//! A disk whose writes are logged: QEMU's storage daemon shows an image as a file that logs what is done to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qemu_tests::command::run;

const TIME_LIMIT: Duration = Duration::from_secs(20);

/// While it runs. When dropped, the daemon ends, and so does what it shows.
pub(super) struct Recorder {
    daemon: Child,
    disk: PathBuf,
    log: PathBuf,
}

impl Recorder {
    /// Shows `image` below `directory`.
    pub(super) fn start(image: &Path, directory: &Path) -> Result<Recorder> {
        let [disk, log, pid] = ["logged-disk", "log", "daemon.pid"].map(|name| directory.join(name));
        File::create(&disk).context("making the file that the disk is shown at")?;
        File::create(&log).context("making the log")?;
        let image = image.display();
        // Killed when this thread ends, however that comes.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-storage-daemon"])
            .args([
                "--blockdev",
                &format!("driver=file,node-name=image-file,filename={image},discard=unmap,locking=off"),
            ])
            .args(["--blockdev", "driver=raw,node-name=image,file=image-file,discard=unmap"])
            .args(["--blockdev", &format!("driver=file,node-name=log,filename={},locking=off", log.display())])
            .args([
                "--blockdev",
                "driver=blklogwrites,node-name=logged,file=image,log=log,log-sector-size=512,discard=unmap",
            ])
            .args([
                "--export",
                &format!("type=fuse,id=disk,node-name=logged,mountpoint={},writable=on", disk.display()),
            ])
            .arg("--pidfile")
            .arg(&pid);
        let daemon = command.stdin(Stdio::null()).spawn().context("starting qemu-storage-daemon")?;
        let mut recorder = Recorder { daemon, disk, log };
        // Written when everything is there.
        wait_until("qemu-storage-daemon to start", || {
            if let Some(status) = recorder.daemon.try_wait()? {
                bail!("qemu-storage-daemon ended with {status}");
            }
            Ok(pid.exists())
        })?;
        Ok(recorder)
    }

    /// The disk.
    pub(super) fn disk(&self) -> &Path {
        &self.disk
    }

    /// Ends it, when nobody has the disk open any more; where the log is then.
    pub(super) fn stop(mut self) -> Result<PathBuf> {
        wait_until("the disk's loop devices to go", || {
            let devices = run(Command::new("losetup").arg("--associated").arg(&self.disk))?;
            Ok(devices.is_empty())
        })?;
        kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM).context("ending qemu-storage-daemon")?;
        let status = self.daemon.wait().context("waiting for qemu-storage-daemon")?;
        ensure!(status.success(), "qemu-storage-daemon ended with {status}");
        Ok(self.log.clone())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Ended already where all went well.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = run(Command::new("umount").args(["--lazy", "--quiet"]).arg(&self.disk));
    }
}

/// A loop device in front of the part of the disk from `offset` on: unlike the disk's own file, closing it flushes nothing.
pub(super) struct Marks {
    device: PathBuf,
    _open: File,
}

impl Marks {
    pub(super) fn of(disk: &Path, offset: u64) -> Result<Marks> {
        let device =
            run(Command::new("losetup").args(["--find", "--show", "--offset", &offset.to_string()]).arg(disk))?;
        let device = PathBuf::from(device.trim());
        let open = File::open(&device);
        // It goes when it is closed, whoever closes it.
        run(Command::new("losetup").arg("--detach").arg(&device))?;
        Ok(Marks { _open: open.with_context(|| format!("opening {}", device.display()))?, device })
    }

    /// A shell command that writes a mark, which is a file in `directory`. It must not be flushed: that would flush others' writes.
    pub(super) fn command(&self, directory: &Path, mark: &str) -> String {
        format!(
            "dd if={}/{mark} of={} bs=512 count=1 oflag=direct conv=notrunc status=none",
            directory.display(),
            self.device.display()
        )
    }
}

/// What a mark is on the disk.
pub(crate) fn mark(text: &str) -> Vec<u8> {
    let mut sector = format!("firstroot {text}").into_bytes();
    sector.resize(512, 0);
    sector
}

/// Puts what a mark is where [`Marks::command`] looks for it.
pub(super) fn write_mark(directory: &Path, text: &str) -> Result<()> {
    fs::write(directory.join(text), mark(text)).with_context(|| format!("writing the mark {text}"))
}

fn wait_until(what: &str, mut there: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !there()? {
        ensure!(begin.elapsed() < TIME_LIMIT, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
