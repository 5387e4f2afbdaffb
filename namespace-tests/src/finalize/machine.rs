//! A system on a copy of a disk, that can be run, finalized and looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use ostree_formats::booted_state::BootedState;
use qemu_tests::boot_entry::BootEntry;
use qemu_tests::command::run;
use qemu_tests::mounted::Mounted;
use qemu_tests::rootfs::Rootfs;
use tempfile::TempDir;

use super::finalization::{Contestant, Finalized};
use super::journal::Journal;
use super::story::{Boot, Story};
use crate::initramfs::Outcome;

const BOOTED: &str = include_str!("../../guest/booted.sh");
pub(super) const TOOLS: &str = include_str!("../../guest/tools.sh");

/// What the boot loader gave to the kernel.
pub(super) const CMDLINE: &str = "cmdline";
/// `/run/ostree`, kept from one run to the next.
const RUN_OSTREE: &str = "run-ostree";
/// Path of the booted deployment on the disk, found out at the first run after booting.
const DEPLOYMENT: &str = "deployment";

/// No finalization here takes a tenth of it.
const TIME_LIMIT: &str = "120";

/// Something that can be mounted.
#[derive(Clone, Debug)]
pub struct Volume {
    /// An image or a device.
    pub image: PathBuf,
    /// Options with which it is mounted.
    pub options: String,
}

/// Disk images, `/run/ostree`, and a kernel command line; gone when dropped.
#[derive(Debug)]
pub struct Machine {
    directory: TempDir,
    rootfs: PathBuf,
    story: Story,
    /// The physical root and `/boot`, where they are not the images in `directory`.
    elsewhere: Option<(Volume, Option<Volume>)>,
    /// The static binary, where it is not the one that the environment names.
    binary: Option<PathBuf>,
}

impl Machine {
    /// One without disks.
    pub(super) fn empty(rootfs: &Rootfs, story: &Story) -> Result<Machine> {
        // In memory, where it is: nobody waits for a disk then.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let directory =
            tempfile::Builder::new().prefix("firstroot-machine-").tempdir_in(place).context("a directory")?;
        let (rootfs, story) = (rootfs.path(), story.clone());
        let machine = Machine { directory, rootfs, story, elsewhere: None, binary: None };
        let plain = BootedState {
            device: 0,
            inode: 0,
            root_transient: false,
            root_transient_ro: false,
            composefs: None,
            sysroot_ro: machine.story.read_only_sysroot,
            transient_etc: None,
        };
        fs::write(machine.path("booted"), plain.to_bytes()).context("writing what prepare-root writes")?;
        fs::create_dir(machine.path("mnt")).context("creating a mount point")?;
        Ok(machine)
    }

    /// One with the disks in `directory`.
    pub(super) fn copied(directory: &Path, rootfs: &Rootfs, story: &Story) -> Result<Machine> {
        let machine = Machine::empty(rootfs, story)?;
        copy_state(directory, machine.directory.path())?;
        Ok(machine)
    }

    /// Copies disks and `/run/ostree` to a directory.
    pub fn copy_to(&self, directory: &Path) -> Result<()> {
        copy_state(self.directory.path(), directory)
    }

    /// Another machine in the same state.
    pub fn another(&self) -> Result<Machine> {
        self.another_in(self.directory.path().parent().context("the machine has no directory")?)
    }

    /// Another machine in the same state, in a directory of its own in `place`: that decides what reading and writing cost.
    pub fn another_in(&self, place: &Path) -> Result<Machine> {
        let other = Machine {
            directory: tempfile::Builder::new()
                .prefix("firstroot-machine-")
                .tempdir_in(place)
                .context("a directory")?,
            rootfs: self.rootfs.clone(),
            story: self.story.clone(),
            elsewhere: None,
            binary: self.binary.clone(),
        };
        fs::copy(self.path("booted"), other.path("booted")).context("copying what prepare-root writes")?;
        fs::create_dir(other.path("mnt")).context("creating a mount point")?;
        self.copy_to(other.directory.path())?;
        Ok(other)
    }

    /// Makes `binary` the one of [`Contestant::Ours`], whatever the environment names.
    #[must_use]
    pub fn with_binary(mut self, binary: &Path) -> Machine {
        self.binary = Some(binary.to_path_buf());
        self
    }

    /// The static binary that is put into the guest.
    pub(super) fn binary(&self, contestant: Contestant) -> Option<PathBuf> {
        match contestant {
            Contestant::Sabotaged(_) => contestant.binary(),
            Contestant::Ours | Contestant::Peer => self.binary.clone().or_else(|| contestant.binary()),
        }
    }

    /// Where all of it is; to the booted system, `/run/fixture/machine`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its story.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// The image of the physical root.
    pub fn root_image(&self) -> PathBuf {
        self.path("root.img")
    }

    /// The image of `/boot`, if it is a filesystem of its own.
    pub fn boot_image(&self) -> PathBuf {
        self.path("boot.img")
    }

    /// From now on its disks are these.
    pub fn move_to(&mut self, root: Volume, boot: Option<Volume>) {
        self.elsewhere = Some((root, boot));
    }

    pub(crate) fn root_volume(&self) -> Volume {
        let here = || Volume { image: self.root_image(), options: self.story.filesystem.mount_options().to_owned() };
        self.elsewhere.as_ref().map_or_else(here, |(root, _)| root.clone())
    }

    fn boot_volume(&self) -> Option<Volume> {
        if let Some((_, boot)) = &self.elsewhere {
            return boot.clone();
        }
        match self.story.boot {
            Boot::Same => None,
            Boot::Separate(filesystem) => {
                Some(Volume { image: self.boot_image(), options: filesystem.mount_options().to_owned() })
            }
        }
    }

    /// The kernel command line that it is booted with.
    pub fn kernel_arguments(&self) -> Result<String> {
        let line = fs::read_to_string(self.path(CMDLINE)).context("reading the command line")?;
        Ok(line.trim_end().to_owned())
    }

    /// What is in `/run/ostree` when the system runs.
    pub fn run_ostree(&self) -> PathBuf {
        self.path(RUN_OSTREE)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a shell script in the booted system.
    pub fn run(&self, script: &str) -> Result<Outcome> {
        Ok(self.run_with_journal(script)?.outcome)
    }

    /// Runs a shell script in the booted system, up to the first error; its standard output.
    pub fn check(&self, script: &str) -> Result<String> {
        let outcome = self.run(&format!("set -e\n{script}"))?;
        outcome.success().with_context(|| format!("in the booted system: {script}"))?;
        Ok(outcome.stdout)
    }

    /// Runs a shell script in the booted system, and listens to the journal.
    pub fn run_with_journal(&self, script: &str) -> Result<Finalized> {
        self.run_program(Contestant::Ours, script)
    }

    pub(super) fn run_program(&self, contestant: Contestant, script: &str) -> Result<Finalized> {
        for name in ["status", "frozen"] {
            let _ = fs::remove_file(self.path(name));
        }
        let journal = Journal::listen(&self.path("journal.socket"))?;
        let (root, boot) = (self.root_volume(), self.boot_volume());
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", TIME_LIMIT, "unshare", "--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--kill-child", "sh", "-c", BOOTED])
            .env("machine", self.directory.path())
            .env("rootfs", &self.rootfs)
            .env("binary", self.binary(contestant).unwrap_or_default())
            .env("root_image", &root.image)
            .env("root_options", &root.options)
            .env("boot_image", boot.as_ref().map(|boot| boot.image.as_path()).unwrap_or(Path::new("")))
            .env("boot_options", boot.as_ref().map(|boot| boot.options.as_str()).unwrap_or_default())
            .env("read_only_sysroot", if self.story.read_only_sysroot { "yes" } else { "" })
            .env("tools", TOOLS)
            .env("script", script);
        let output = command.output().context("starting unshare");
        let journal = journal.messages()?;
        let output = output?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(124) {
            bail!("not ended after {TIME_LIMIT} s: {script}\n{stderr}");
        }
        let status = fs::read_to_string(self.path("status"));
        let status = status.with_context(|| format!("the system did not come up, {}: {stderr}", output.status))?;
        if let Ok(frozen) = fs::read_to_string(self.path("frozen")) {
            bail!("left frozen: {}\n{stderr}", frozen.trim());
        }
        let status: i32 = status.trim().parse().context("the script's exit status")?;
        // As shells tell it.
        let signal = (status > 128).then(|| status - 128);
        let outcome = Outcome {
            report: None,
            code: if signal.is_some() { None } else { Some(status) },
            signal,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr,
        };
        Ok(Finalized { outcome, journal })
    }

    /// Switches it off and on: the default entry is booted from now on, with an empty `/run`.
    pub fn boot_default(&self) -> Result<()> {
        let entry = self.with_disk(|root| BootEntry::default_of(&root.join("boot")))?;
        self.boot_with(&entry.options)
    }

    /// Switches it off and on with this kernel command line.
    pub fn boot_with(&self, arguments: &str) -> Result<()> {
        let _ = fs::remove_dir_all(self.run_ostree());
        let _ = fs::remove_file(self.path(DEPLOYMENT));
        fs::write(self.path(CMDLINE), format!("{arguments}\n")).context("writing the command line")
    }

    /// Calls `look` with the physical root of the switched-off machine, `/boot` included.
    pub fn with_disk<T: Send>(&self, look: impl FnOnce(&Path) -> Result<T> + Send) -> Result<T> {
        self.with_mounted(false, look)
    }

    /// The same, before there is anything on it.
    pub(super) fn with_new_disk<T: Send>(&self, look: impl FnOnce(&Path) -> Result<T> + Send) -> Result<T> {
        self.with_mounted(true, look)
    }

    fn with_mounted<T: Send>(&self, is_new: bool, look: impl FnOnce(&Path) -> Result<T> + Send) -> Result<T> {
        let story = || {
            // On a thread of its own: other processes do not see the mounts, and cannot keep them.
            unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace of one's own needs root")?;
            let flags = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context("making / private")?;
            let volume = self.root_volume();
            let root = Mounted::at(&volume.image, &volume.options, &self.path("mnt"))?;
            let boot = if let Some(volume) = self.boot_volume() {
                let path = root.path().join("boot");
                if is_new {
                    fs::create_dir(&path).context("creating boot")?;
                }
                Some(Mounted::at(&volume.image, &volume.options, &path)?)
            } else {
                None
            };
            let result = look(root.path());
            if let Some(boot) = boot {
                boot.unmount()?;
            }
            root.unmount()?;
            result
        };
        std::thread::scope(|scope| match scope.spawn(story).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

fn copy_state(from: &Path, to: &Path) -> Result<()> {
    for name in ["root.img", "boot.img", CMDLINE, DEPLOYMENT, RUN_OSTREE] {
        if from.join(name).exists() {
            run(Command::new("cp")
                .args(["--archive", "--sparse=always", "--reflink=auto"])
                .arg(from.join(name))
                .arg(to))?;
        }
    }
    Ok(())
}
