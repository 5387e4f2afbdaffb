//! UEFI: a machine whose firmware finds its boot loader on an ESP, as on a real one.
//!
//! The ESP is a disk of its own with a boot loader on it and nothing else: what systemd-boot boots, the machine itself has to put there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::command::run;
use crate::refind;
use crate::secure_boot;

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// With Secure Boot, which needs SMM.
const SECURE_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const SECURE_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd";
/// Where a package of systemd-boot has it.
pub(crate) const LOADER: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// Debian 12's, of which a user has most.
const ESP_MIB: u64 = 260;
/// The partition begins at the first MiB.
const OFFSET: u64 = 1 << 20;
/// Of the partition; udev makes a link of it.
pub const ESP_PARTUUID: &str = "5f1a7c00-0000-4000-8000-00000000000e";
/// Of a second one behind it, an empty FAT that systemd-boot reads, too.
pub const XBOOTLDR_PARTUUID: &str = "5f1a7c00-0000-4000-8000-00000000000b";

/// What is on an ESP.
#[derive(Clone, Debug)]
pub(crate) enum Esp {
    /// systemd-boot, with this `loader.conf`.
    Installed { loader_conf: String },
    /// The same, signed, and a firmware that starts nothing else.
    Signed { loader_conf: String },
    /// systemd-boot, with this `loader.conf`, and rEFInd, which the firmware starts.
    BehindRefind { loader_conf: String },
    /// GRUB, which reads this script.
    Grub { script: String },
    /// What the firmware starts without being told, and nothing else. It stands for another boot loader, and reads entries.
    Other,
}

/// A machine's firmware, with its variables, and its ESP.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    /// The program, which is the same for all machines.
    pub(crate) code: PathBuf,
    /// What it remembers.
    pub(crate) variables: PathBuf,
    /// The disk with the ESP.
    pub(crate) esp: PathBuf,
    /// Whether it has Secure Boot.
    pub(crate) is_secure: bool,
    /// Whether a reboot starts it again, as on a real machine.
    pub(crate) reboots: bool,
}

/// Programs for an ESP.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The boot loader.
    pub(crate) loader: PathBuf,
    /// What the firmware starts in place of it.
    pub(crate) refind: Option<PathBuf>,
}

impl Firmware {
    /// A new one in `directory`, whose ESP has these programs.
    pub(crate) fn new(directory: &Path, content: &Esp, programs: &Programs) -> Result<Firmware> {
        let is_secure = matches!(content, Esp::Signed { .. });
        let (code, variables) = if is_secure { (SECURE_CODE, SECURE_VARIABLES) } else { (CODE, VARIABLES) };
        let firmware = Firmware {
            code: PathBuf::from(code),
            variables: directory.join("variables.img"),
            esp: directory.join("esp.img"),
            is_secure,
            reboots: false,
        };
        fs::copy(variables, &firmware.variables).with_context(|| format!("copying {variables}"))?;
        make_esp(&firmware.esp, directory, content, programs)?;
        Ok(firmware)
    }
}

fn make_esp(image: &Path, directory: &Path, content: &Esp, programs: &Programs) -> Result<()> {
    let size = OFFSET + 2 * (ESP_MIB << 20) + OFFSET;
    File::create(image).and_then(|file| file.set_len(size)).with_context(|| format!("creating {}", image.display()))?;
    let sectors = (ESP_MIB << 20) / 512;
    let table = format!(
        "label: gpt\nstart=2048, size={sectors}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid={ESP_PARTUUID}, name=esp\n\
         size={sectors}, type=BC13C2FF-59E6-4262-A352-B275FD6F7172, uuid={XBOOTLDR_PARTUUID}, name=xbootldr\n"
    );
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.arg("--quiet").arg(image).env("PATH", crate::host::PATH).stdin(Stdio::piped());
    let mut child = sfdisk.spawn().context("running sfdisk")?;
    std::io::Write::write_all(&mut child.stdin.take().context("sfdisk has no input")?, table.as_bytes())?;
    ensure!(child.wait()?.success(), "sfdisk failed");
    let drive = format!("{}@@1M", image.display());
    let sectors = sectors.to_string();
    for drive in [&drive, &format!("{}@@{}M", image.display(), 1 + ESP_MIB)] {
        mtools(&["mformat", "-i", drive, "-F", "-T", &sectors, "::"])?;
    }
    for path in ["::/EFI", "::/EFI/BOOT"] {
        mtools(&["mmd", "-i", &drive, path])?;
    }
    let signed = directory.join("systemd-boot.efi");
    let loader = match content {
        Esp::Signed { .. } => {
            secure_boot::sign(&programs.loader, &signed)?;
            signed.display().to_string()
        }
        _ => programs.loader.display().to_string(),
    };
    let first = programs.refind.as_ref().map_or_else(|| loader.clone(), |refind| refind.display().to_string());
    mtools(&["mcopy", "-i", &drive, &first, "::/EFI/BOOT/BOOTX64.EFI"])?;
    let file = directory.join("configuration-of-the-loader");
    let write = |text: &str| fs::write(&file, text).with_context(|| format!("writing {}", file.display()));
    let copy = |to: &str| mtools(&["mcopy", "-i", &drive, &file.display().to_string(), to]);
    let loader_conf = match content {
        Esp::Other => return Ok(()),
        Esp::Grub { script } => {
            write(script)?;
            // Where Debian's looks.
            mtools(&["mmd", "-i", &drive, "::/EFI/debian"])?;
            return copy("::/EFI/debian/grub.cfg");
        }
        Esp::BehindRefind { loader_conf } => {
            write(refind::CONFIGURATION)?;
            copy("::/EFI/BOOT/refind.conf")?;
            loader_conf
        }
        Esp::Installed { loader_conf } | Esp::Signed { loader_conf } => loader_conf,
    };
    for path in ["::/EFI/systemd", "::/loader"] {
        mtools(&["mmd", "-i", &drive, path])?;
    }
    mtools(&["mcopy", "-i", &drive, &loader, "::/EFI/systemd/systemd-bootx64.efi"])?;
    write(loader_conf)?;
    copy("::/loader/loader.conf")
}

fn mtools(words: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = words else { bail!("no program") };
    run(Command::new(program).args(arguments).env("MTOOLS_SKIP_CHECK", "1")).map(drop)
}
