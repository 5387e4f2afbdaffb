//! Secure Boot: programs that are signed with the key that OVMF's own variables trust, and a unified kernel image.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;

/// Everybody has this key, and its passphrase is its name.
const KEY: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
const PASSPHRASE: &str = "pass:snakeoil";
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Where kernel and initramfs are in the memory of the stub: behind it, and with room for a kernel.
const OFFSETS: [(&str, u64); 2] = [(".linux", 0x200_0000), (".initrd", 0x400_0000)];

/// Signs an EFI program.
pub(crate) fn sign(program: &Path, signed: &Path) -> Result<()> {
    let directory = tempfile::tempdir().context("creating a directory for the key")?;
    let key = directory.path().join("key.pem");
    run(Command::new("openssl").args(["rsa", "-passin", PASSPHRASE, "-in", KEY, "-out"]).arg(&key))?;
    let mut sbsign = Command::new("sbsign");
    sbsign.arg("--key").arg(&key).args(["--cert", CERTIFICATE, "--output"]).arg(signed).arg(program);
    run(&mut sbsign).map(drop)
}

/// Makes a signed unified kernel image of kernel and initramfs in the directory `modules`, and puts it beside them.
pub(crate) fn add_image(modules: &Path, name: &str) -> Result<()> {
    let directory = tempfile::tempdir().context("creating a directory for the image")?;
    let unsigned = directory.path().join("unsigned.efi");
    let mut objcopy = Command::new("objcopy");
    let base = image_base()?;
    for ((section, offset), file) in OFFSETS.iter().zip(["vmlinuz", "initramfs.img"]) {
        objcopy.arg("--add-section").arg(format!("{section}={}", modules.join(file).display()));
        objcopy.arg("--change-section-vma").arg(format!("{section}={:#x}", base + offset));
    }
    run(objcopy.arg(STUB).arg(&unsigned))?;
    let image = modules.join(name);
    sign(&unsigned, &image)?;
    let size = fs::metadata(&image).with_context(|| format!("looking up {}", image.display()))?.len();
    anyhow::ensure!(size > 1 << 20, "the image has {size} bytes");
    Ok(())
}

/// What the stub's addresses begin at: 0 up to systemd 252, and not so later.
fn image_base() -> Result<u64> {
    let headers = run(Command::new("objdump").args(["--private-headers", STUB]))?;
    let base = headers.lines().find_map(|line| line.strip_prefix("ImageBase")).context("the stub has no ImageBase")?;
    u64::from_str_radix(base.trim(), 16).context("its ImageBase is no number")
}
