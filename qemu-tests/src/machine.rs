//! A machine with disks, switched on as often as a scenario wants.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::accelerator::Accelerator;
use crate::boot_entry::BootEntry;
use crate::command::run;
use crate::cpio;
use crate::disk::Disks;
use crate::firmware::Firmware;
use crate::kernel::extract_elf;
use crate::qemu::{DiskDevice, Qemu, Running, Start};
use crate::report::Report;
use crate::side_by_side;
use crate::silence::Patience;

const REPORT_SIZE: u64 = 64 << 20;
const SECTOR: usize = 512;

/// Added to the boot loader entry's arguments in each boot.
const ARGUMENTS: &[&str] = &[
    "console=ttyS0",
    // Else systemd looks for other /boot and /efi on these disks.
    "systemd.gpt_auto=0",
    // Worth seconds where instructions are emulated.
    "mitigations=off",
    "tsc=reliable",
    "audit=0",
    "loglevel=4",
    "systemd.show_status=error",
    "8250.nr_uarts=1",
    "fsck.mode=skip",
    "init_on_alloc=0",
    "cryptomgr.notests",
    "nowatchdog",
    // On a host with much to do the kernel finds too few ticks of an emulated timer, and panics.
    "no_timer_check",
    // An initramfs with systemd has its disks before udev asks for drivers: else they are found behind two hundred devices that no
    // initramfs needs.
    "rd.modules_load=virtio_blk",
];

/// A worker of udev is a copy of it, which is expensive, and a second one does not make a single processor faster.
const ONE_WORKER: &str = "udev.children_max=1";

/// Those of [`ARGUMENTS`], and one more where the machine has one processor.
fn in_each_boot<'a>() -> impl Iterator<Item = &'a str> {
    ARGUMENTS.iter().copied().chain((side_by_side::cpus_of_one() == 1).then_some(ONE_WORKER))
}

/// Makes a failing initramfs end the run at once, instead of waiting for a person until it is given up.
const NO_SHELL: &[&str] = &["rd.shell=0", "rd.emergency=poweroff"];

/// A shell in the initramfs without a password: there is none in Debian's, and so none that opens it.
pub const EMERGENCY_SHELL: &str = "SYSTEMD_SULOGIN_FORCE=1";

/// Which initramfs the boot loader takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Initramfs {
    /// The one that the boot loader entry names.
    OfEntry,
    /// This file.
    File(PathBuf),
    /// This file, that does no more than a kernel without initramfs: what the deployment has as prepare-root is then
    /// `init`, as `ostree` writes it into entries of such systems.
    None(PathBuf),
}

/// What a person at the console does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Console {
    /// Waits for this text.
    Sees(String),
    /// Types this line.
    Types(String),
    /// Waits until the machine has switched itself off or reboots.
    WaitsForTheEnd,
}

/// When the power fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerCut {
    /// What is on the console by then.
    pub seen: &'static str,
    /// How long after that.
    pub after: Duration,
}

/// Makes every message of the journal one on the console.
const JOURNAL_ON_CONSOLE: &str = "systemd.journald.forward_to_console=1";

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) directory: PathBuf,
    pub(crate) disks: Disks,
    pub(crate) initramfs: Initramfs,
    /// An archive whose files win over the initramfs'.
    pub(crate) appended: Vec<u8>,
    pub(crate) kernel_arguments: Vec<String>,
    /// Arguments of the boot loader entry, or of each boot, that are left out.
    pub(crate) without_arguments: Vec<String>,
    /// How many bytes can be written to `/boot`'s own disk in a second.
    pub(crate) boot_writes: Option<u64>,
    /// With an ESP: the boots from [`Machine::boot_from_firmware`] on it.
    pub(crate) firmware: Option<Firmware>,
    /// Without one, those boots are from the disk with this serial.
    pub(crate) bios: Option<&'static str>,
    /// The image of one more disk.
    pub(crate) spare_disk: Option<PathBuf>,
    pub(crate) busybox: PathBuf,
    pub(crate) cache: crate::cache::Cache,
}

impl Machine {
    /// Boots, runs `script` in the system that comes up, and returns what the machine reported before it switched itself
    /// off. `number` tells apart the boots of one machine.
    pub(crate) fn boot(&self, number: usize, script: &str) -> Result<Report> {
        let qemu = self.prepare(script, NO_SHELL)?;
        let console = self.console(number);
        let mut running = qemu.start(&console)?;
        running.wait()?;
        self.report(number, running.elapsed())
    }

    /// The same, started by the firmware from the ESP.
    pub(crate) fn boot_from_firmware(&self, number: usize, script: &str) -> Result<Report> {
        let mut running = self.started_by_firmware(script)?.start(&self.console(number))?;
        running.wait()?;
        self.report(number, running.elapsed())
    }

    /// The same, until `text` is on the console: nothing comes up.
    pub(crate) fn boot_from_firmware_until(&self, number: usize, text: &str) -> Result<()> {
        let mut running = self.started_by_firmware("")?.start(&self.console(number))?;
        running.wait_for(text, 0, Patience::WhileItLives).map(drop)
    }

    fn started_by_firmware(&self, script: &str) -> Result<Qemu> {
        let start = match (self.bios, self.firmware.clone()) {
            (Some(serial), _) => Start::Bios { serial },
            (None, firmware) => Start::Firmware(firmware.context("a machine without an ESP")?),
        };
        let accelerator = self.accelerator()?;
        let cpus = side_by_side::cpus_of_one();
        Ok(Qemu { start, disks: self.devices(script)?, accelerator, cpus })
    }

    /// The arguments that each boot has, for entries that a boot loader reads itself.
    pub(crate) fn usual_arguments(without: &[String]) -> String {
        let usual = in_each_boot().chain(NO_SHELL.iter().copied());
        usual.filter(|word| !without.iter().any(|w| w == word)).collect::<Vec<_>>().join(" ")
    }

    /// The same, but the power fails while it goes down: what it has written out by then is on its disks, and what it has not, is
    /// lost.
    pub(crate) fn boot_until(&self, number: usize, script: &str, cut: &PowerCut) -> Result<Report> {
        let qemu = self.prepare(script, &[NO_SHELL, &[JOURNAL_ON_CONSOLE]].concat())?;
        let mut running = qemu.start(&self.console(number))?;
        running.wait_for(cut.seen, 0, Patience::WhileItLives)?;
        std::thread::sleep(cut.after);
        ensure!(!running.has_ended()?, "the machine has switched itself off before the power cut");
        let seconds = running.elapsed();
        drop(running);
        self.report(number, seconds)
    }

    /// What the machine has written to the disk for its report.
    fn report(&self, number: usize, seconds: Duration) -> Result<Report> {
        let facts = self.directory.join(format!("report-{number}"));
        fs::create_dir(&facts).with_context(|| format!("creating {}", facts.display()))?;
        let console = self.console(number);
        // An agent that never ran leaves zeros, which tar takes for an empty archive.
        run(Command::new("tar").arg("-xf").arg(self.directory.join("report.img")).arg("-C").arg(&facts))
            .with_context(|| format!("reading the machine's report; its console: {}", console.display()))?;
        Ok(Report::new(facts, console, seconds))
    }

    /// Boots, and does at the console what `lines` say; then switches the machine off.
    pub(crate) fn boot_with_person(&self, number: usize, lines: &[Console]) -> Result<Report> {
        let qemu = self.prepare("", &[])?;
        let console = self.console(number);
        let mut running = qemu.start(&console)?;
        let mut seen = 0;
        for line in lines {
            follow(line, &mut running, &mut seen)?;
        }
        let seconds = running.elapsed();
        drop(running);
        self.report(number, seconds)
    }

    /// Boots with the serial console on this terminal.
    pub(crate) fn interact(&self) -> Result<()> {
        self.prepare("", &["firstroot.console", EMERGENCY_SHELL])?.interact()
    }

    fn console(&self, number: usize) -> PathBuf {
        self.directory.join(format!("console-{number}.log"))
    }

    /// The boot loader's part: chooses an entry of the disks, loads what it names.
    fn prepare(&self, script: &str, arguments: &[&str]) -> Result<Qemu> {
        let bzimage = self.directory.join("vmlinuz");
        let initramfs = self.directory.join("initramfs.img");
        let entry = self.disks.boot_mounted(|boot| {
            let entry = BootEntry::default_of(boot)?;
            copy(&inside(boot, &entry.linux), &bzimage)?;
            match (&self.initramfs, entry.initrd.first()) {
                (Initramfs::OfEntry, first) => {
                    copy(&inside(boot, first.context("the boot loader entry has no initrd")?), &initramfs)?;
                }
                (Initramfs::File(file) | Initramfs::None(file), _) => copy(file, &initramfs)?,
            }
            Ok(entry)
        })?;
        self.append_to(&initramfs)?;
        let kernel = self.directory.join("vmlinux");
        extract_elf(&bzimage, &kernel)?;
        let accelerator = self.accelerator()?;
        let command_line = self.command_line(&entry, arguments);
        let cpus = side_by_side::cpus_of_one();
        let start = Start::Kernel { kernel, initramfs, command_line };
        Ok(Qemu { start, disks: self.devices(script)?, accelerator, cpus })
    }

    /// The kernel of the first boot says whether there is a quick one.
    fn accelerator(&self) -> Result<Accelerator> {
        Accelerator::find(&self.directory.join("vmlinux"), &self.busybox, &self.cache)
    }

    fn append_to(&self, initramfs: &Path) -> Result<()> {
        if self.appended.is_empty() {
            return Ok(());
        }
        let mut bytes = fs::read(initramfs).with_context(|| format!("reading {}", initramfs.display()))?;
        cpio::pad(&mut bytes);
        bytes.extend_from_slice(&self.appended);
        fs::write(initramfs, bytes).with_context(|| format!("writing {}", initramfs.display()))
    }

    fn command_line(&self, entry: &BootEntry, arguments: &[&str]) -> String {
        // As GRUB begins it.
        let mut words = vec![format!("BOOT_IMAGE=(hd0,gpt3)/boot{}", entry.linux)];
        let usual = entry.options.split_whitespace().chain(in_each_boot()).chain(arguments.iter().copied());
        words.extend(usual.filter(|word| !self.without_arguments.iter().any(|w| w == word)).map(str::to_owned));
        if let (Initramfs::None(_), Some(link)) = (&self.initramfs, entry.argument("ostree")) {
            words.push(format!("init={link}/{}", crate::package::PREPARE_ROOT));
            words.push(format!("rootfstype={}", self.disks.filesystem().name()));
        }
        words.extend(self.kernel_arguments.iter().cloned());
        words.join(" ")
    }

    fn devices(&self, script: &str) -> Result<Vec<DiskDevice>> {
        let script_image = self.directory.join("script.img");
        // A shell reads it from the disk; blank lines fill its last sector.
        let mut script = format!("{script}\n").into_bytes();
        script.resize(script.len().next_multiple_of(SECTOR), b'\n');
        fs::write(&script_image, script).context("writing the script's disk")?;
        let report = self.directory.join("report.img");
        File::create(&report).and_then(|file| file.set_len(REPORT_SIZE)).context("creating the report's disk")?;
        let system = self.disks.images().into_iter().zip(["root", "boot"]);
        let own = [(script_image, "script"), (report, "report")];
        let spare = self.spare_disk.clone().map(|image| (image, "spare"));
        let esp = self.firmware.as_ref().map(|firmware| (firmware.esp.clone(), "esp"));
        let device = |(image, serial): (PathBuf, &str)| DiskDevice {
            image,
            serial: serial.to_owned(),
            writes: self.boot_writes.filter(|_| serial == "boot"),
            log: None,
        };
        Ok(system.chain(own).chain(spare).chain(esp).map(device).collect())
    }
}

fn follow(line: &Console, running: &mut Running, seen: &mut usize) -> Result<()> {
    match line {
        Console::Sees(text) => *seen = running.wait_for(text, *seen, Patience::WhileItLives)?,
        Console::Types(line) => running.type_line(line)?,
        Console::WaitsForTheEnd => drop(running.wait()?),
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    ensure!(from.is_file(), "{} is not there", from.display());
    fs::copy(from, to).with_context(|| format!("copying {}", from.display())).map(drop)
}

/// The path of an entry inside `boot`; a boot loader follows `/boot/boot → .` for paths that begin with `/boot`.
fn inside(boot: &Path, path: &str) -> PathBuf {
    boot.join(path.trim_start_matches('/'))
}
