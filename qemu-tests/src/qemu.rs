//! One run of QEMU.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::accelerator::Accelerator;
use crate::firmware::Firmware;
use crate::silence::{Patience, Silence};

/// How often a running machine is looked at.
const TICK: Duration = Duration::from_millis(100);

/// A raw image as a virtio disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskDevice {
    pub(crate) image: PathBuf,
    /// The guest finds it as `/dev/disk/by-id/virtio-SERIAL`.
    pub(crate) serial: String,
    /// How many bytes can be written to it in a second; `None`: as fast as this machine does it.
    pub(crate) writes: Option<u64>,
    /// Where all that is done to it is logged, in the format of the kernel's `dm-log-writes`.
    pub(crate) log: Option<PathBuf>,
}

/// What starts first.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// This kernel: QEMU is the boot loader.
    Kernel { kernel: PathBuf, initramfs: PathBuf, command_line: String },
    /// The firmware.
    Firmware(Firmware),
    /// The BIOS, which starts what the first sectors of the disk with this serial have.
    Bios { serial: &'static str },
}

/// A machine before it is switched on.
#[derive(Clone, Debug)]
pub(crate) struct Qemu {
    pub(crate) start: Start,
    pub(crate) disks: Vec<DiskDevice>,
    pub(crate) accelerator: Accelerator,
    pub(crate) cpus: usize,
}

impl Qemu {
    /// Starts it with its serial console in the file `console`.
    pub(crate) fn start(&self, console: &Path) -> Result<Running> {
        self.start_with(console, Stdio::inherit())
    }

    /// The same, and what QEMU itself has to say goes to the file `messages`.
    pub(crate) fn start_quietly(&self, console: &Path, messages: &Path) -> Result<Running> {
        let messages = File::create(messages).with_context(|| format!("creating {}", messages.display()))?;
        self.start_with(console, messages.into())
    }

    fn start_with(&self, console: &Path, messages: Stdio) -> Result<Running> {
        let output = File::create(console).with_context(|| format!("creating {}", console.display()))?;
        let mut command = self.command();
        let mut child =
            command.stdin(Stdio::piped()).stdout(output).stderr(messages).spawn().context("starting QEMU")?;
        let (keyboard, silence) = (child.stdin.take(), Silence::new());
        Ok(Running { child, keyboard, console: console.to_path_buf(), started: Instant::now(), silence })
    }

    /// Runs it with the serial console on this terminal.
    pub(crate) fn interact(&self) -> Result<()> {
        self.command().status().context("starting QEMU").map(drop)
    }

    /// Whether a reboot starts it again. By default a run ends with it.
    fn reboots(&self) -> bool {
        matches!(&self.start, Start::Firmware(firmware) if firmware.reboots)
    }

    fn smm(&self) -> &'static str {
        match &self.start {
            Start::Firmware(firmware) if firmware.is_secure => ",smm=on",
            Start::Firmware(_) | Start::Kernel { .. } | Start::Bios { .. } => "",
        }
    }

    fn command(&self) -> Command {
        let cpus = self.cpus;
        // A test that is killed takes its machine with it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "kill", "qemu-system-x86_64"])
            .args(self.accelerator.arguments())
            .args(["-smp", &cpus.to_string(), "-m", "2048"])
            // Each device that is not there is one less for udev to ask about.
            .args(["-machine", &format!("q35,sata=off,smbus=off,usb=off,i8042=off,hpet=off{}", self.smm())])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-net", "none"])
            .args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"])
            .args(["-device", "virtio-rng-pci"]);
        if !self.reboots() {
            command.arg("-no-reboot");
        }
        match &self.start {
            Start::Kernel { kernel, initramfs, command_line } => {
                command.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs).args(["-append", command_line]);
            }
            Start::Firmware(firmware) => {
                let flash =
                    |options: &str, image: &Path| format!("if=pflash,format=raw{options},file={}", image.display());
                if firmware.is_secure {
                    // Else the system could write the variables past the firmware, which refuses to start.
                    command.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
                    command.args(["-global", "ICH9-LPC.disable_s3=1"]);
                }
                command.args(["-drive", &flash(",readonly=on", &firmware.code)]);
                command.args(["-drive", &flash("", &firmware.variables)]);
            }
            Start::Bios { .. } => {}
        }
        for (index, disk) in self.disks.iter().enumerate() {
            let boots = matches!(&self.start, Start::Bios { serial } if *serial == disk.serial);
            let first = if boots { ",bootindex=0" } else { "" };
            command.arg("-device").arg(format!("virtio-blk-pci,drive=disk{index},serial={}{first}", disk.serial));
            if let Some(log) = &disk.log {
                command.args(logged(index, &disk.image, log));
                continue;
            }
            // What a guest has written need not survive a power cut of the host.
            let slow = disk.writes.map(|bytes| format!(",throttling.bps-write={bytes}")).unwrap_or_default();
            command.arg("-drive").arg(format!(
                "if=none,id=disk{index},format=raw,cache=unsafe,discard=unmap{slow},file={}",
                disk.image.display()
            ));
        }
        command
    }
}

/// A disk that passes on what the guest flushes, and logs it.
fn logged(index: usize, image: &Path, log: &Path) -> [String; 6] {
    let file = |name: &str, path: &Path| {
        ["-blockdev".to_owned(), format!("driver=file,node-name={name}{index},filename={},locking=off", path.display())]
    };
    let ([one, image], [two, log]) = (file("image", image), file("log", log));
    let logged =
        format!("driver=blklogwrites,node-name=disk{index},file=image{index},log=log{index},log-sector-size=512");
    [one, image, two, log, "-blockdev".to_owned(), logged]
}

/// A machine that is on; switched off when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    keyboard: Option<ChildStdin>,
    console: PathBuf,
    started: Instant,
    silence: Silence,
}

impl Running {
    /// Waits until the machine switches itself off (or reboots, if QEMU then ends as well), as long as it does something.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait().context("waiting for QEMU")? {
                return Ok(status);
            }
            self.silence.look(self.child.id(), &self.console, Patience::WhileItLives)?;
            std::thread::sleep(TICK);
        }
    }

    /// Whether it is off.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("waiting for QEMU")?.is_some())
    }

    /// Waits until `text` is on the console, behind the first `from` bytes; returns where it ends.
    pub(crate) fn wait_for(&mut self, text: &str, from: usize, patience: Patience) -> Result<usize> {
        loop {
            // Asked before the console is read: what was written before the end then counts.
            let ended = self.child.try_wait().context("waiting for QEMU")?;
            let bytes = fs::read(&self.console).with_context(|| format!("reading {}", self.console.display()))?;
            if let Some(at) = position(bytes.get(from..).unwrap_or_default(), text.as_bytes()) {
                return Ok(from.saturating_add(at).saturating_add(text.len()));
            }
            let console = self.console.display();
            if let Some(status) = ended {
                bail!("the machine ended ({status}) before {text:?} was on its console: {console}");
            }
            let look = self.silence.look(self.child.id(), &self.console, patience);
            look.with_context(|| format!("waiting for {text:?}"))?;
            std::thread::sleep(TICK);
        }
    }

    /// Types a line on the console.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        let keyboard = self.keyboard.as_mut().context("the machine has no keyboard")?;
        keyboard.write_all(line.as_bytes()).context("typing")?;
        keyboard.write_all(b"\n").context("typing")?;
        keyboard.flush().context("typing")
    }

    /// How long it has been on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}
