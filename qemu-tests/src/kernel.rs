//! A kernel as QEMU starts it fastest.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Where a bzImage says how many sectors its real-mode part has, less one (Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1f1;
/// Offset of the payload, from the protected-mode part.
const PAYLOAD_OFFSET: usize = 0x248;
/// Length of the payload.
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;

/// Writes the ELF kernel that is inside the bzImage `image` to `elf`. QEMU starts it by the PVH protocol: the kernel's own
/// decompressor, slow where each instruction is emulated, is left out. Compressed in a way that is not known here, the image
/// itself is taken.
pub(crate) fn extract_elf(image: &Path, elf: &Path) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let payload = payload(&bytes).with_context(|| format!("{} is no bzImage", image.display()))?;
    let program: &[&str] = match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => &["zstd", "-q", "-d", "-c"],
        [0xfd, b'7', b'z', b'X', b'Z', ..] => &["xz", "--single-stream", "-d", "-c"],
        [0x1f, 0x8b, ..] => &["gzip", "-q", "-d", "-c"],
        // Slower, not wrong: lz4, which Debian 12 has, is decompressed fast anyway.
        _ => return fs::copy(image, elf).context("copying the kernel").map(drop),
    };
    let compressed = elf.with_extension("compressed");
    fs::write(&compressed, payload).with_context(|| format!("writing {}", compressed.display()))?;
    let [program, arguments @ ..] = program else { bail!("no program") };
    // Its exit status is not looked at: behind the compressed kernel is its length, which is garbage to the program.
    Command::new(program)
        .args(arguments)
        .stdin(File::open(&compressed).context("opening the compressed kernel")?)
        .stdout(File::create(elf).with_context(|| format!("creating {}", elf.display()))?)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {program}"))?;
    fs::remove_file(&compressed).context("removing the compressed kernel")?;
    let magic = fs::read(elf).with_context(|| format!("reading {}", elf.display()))?;
    ensure!(magic.starts_with(b"\x7fELF"), "{}: {program} found no ELF file in it", image.display());
    Ok(())
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = image.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let setup = usize::from(*image.get(SETUP_SECTORS)?).checked_add(1)?.checked_mul(SECTOR)?;
    let start = setup.checked_add(word(PAYLOAD_OFFSET)?)?;
    image.get(start..start.checked_add(word(PAYLOAD_LENGTH)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found_or_nothing() {
        let mut image = vec![0; 2048];
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = 3;
        image[1024 + 16..1024 + 19].copy_from_slice(b"abc");
        assert_eq!(payload(&image), Some(b"abc".as_slice()));
        assert_eq!(payload(&image[..1024]), None);
        assert_eq!(payload(&[]), None);
    }
}
