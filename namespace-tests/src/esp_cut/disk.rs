//! The disk before a guest writes to it, and the kernels that it writes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use ostree_formats::deployment::hexadecimal;
use qemu_tests::command::run;
use sha2::{Digest, Sha256};

use crate::power_cut::{Numbers, SEED};

/// Of another system; nothing of it may change.
pub(super) const OTHERS: &str = "EFI/BOOT/BOOTX64.EFI";
const OTHERS_BYTES: usize = 5000;
/// What is left for the guest.
const ROOM: u64 = 1200 << 10;

/// How wide the numbers of clusters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// FAT16, whose root directory has a place of its own.
    Sixteen,
    /// FAT32, as most ESPs have.
    ThirtyTwo,
}

impl Bits {
    /// Sectors of the filesystem, and the options of `mformat`.
    fn layout(self) -> (u64, &'static [&'static str]) {
        match self {
            Bits::Sixteen => (32_768, &["-c", "4"]),
            Bits::ThirtyTwo => (69_632, &["-F", "-c", "1"]),
        }
    }
}

/// A FAT that is nearly full with files of others. Behind it there is place for marks.
#[derive(Debug)]
pub struct Disk;

impl Disk {
    /// Makes one.
    pub fn make(bits: Bits, image: &Path, directory: &Path) -> Result<()> {
        let (sectors, options) = bits.layout();
        let size = sectors * 512 + (1 << 20);
        File::create(image).and_then(|file| file.set_len(size)).context("creating a disk")?;
        let drive = image.display().to_string();
        mtools("mformat", &drive, &[options, &["-T", &sectors.to_string(), "::"]].concat())?;
        for path in ["::/EFI", "::/EFI/BOOT"] {
            mtools("mmd", &drive, &[path])?;
        }
        let put = |bytes: &[u8], path: &str| {
            let file = directory.join("file");
            fs::write(&file, bytes).context("writing a file")?;
            mtools("mcopy", &drive, &[&file.display().to_string(), &format!("::/{path}")])
        };
        put(&others(), OTHERS)?;
        // What is free is at least what is not a FAT.
        let fats = sectors / 64;
        let filler = (sectors - fats) * 512 - ROOM;
        put(&vec![0; usize::try_from(filler)?], "other.bin")
    }
}

fn mtools(program: &str, drive: &str, arguments: &[&str]) -> Result<()> {
    run(Command::new(program).args(["-i", drive]).args(arguments).env("MTOOLS_SKIP_CHECK", "1")).map(drop)
}

/// The content of [`OTHERS`].
pub(super) fn others() -> Vec<u8> {
    random("others", OTHERS_BYTES)
}

/// Unified kernel images, by the deployments that boot them; all beside one kernel.
const IMAGES: [&str; 2] = ["f", "9"];
const KERNEL_OF_IMAGES: &str = "b";

/// The files of `/boot`, by their paths in it, and there, too, the images of trees.
pub fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for kernel in ["a", "b", "d", "e"] {
        for (name, size) in [("vmlinuz", 20_300), ("initramfs.img", 61_000), ("dtb/vendor/a.dtb", 700)] {
            let path = format!("ostree/os-{}/{name}", kernel.repeat(64));
            files.insert(path.clone(), random(&path, size));
        }
    }
    for image in IMAGES {
        let content = random(image, 70_000);
        let sum = hexadecimal(&Sha256::digest(&content));
        let path = format!("ostree/os-{}/uki-{image}-{}.efi", KERNEL_OF_IMAGES.repeat(64), &sum[..12]);
        // For the guest: where it is, and what it is.
        files.insert(format!("images/{image}"), format!("{path} {sum}").into_bytes());
        let addon = format!("{path}.extra.d/a.addon.efi");
        files.insert(addon.clone(), random(&addon, 900));
        files.insert(path, content);
    }
    let overlay = format!("ostree/initramfs-overlays/{}.img", "f".repeat(64));
    files.insert(overlay.clone(), random(&overlay, 3000));
    files
}

/// Bytes that are the same each time, and other ones for each name.
fn random(name: &str, size: usize) -> Vec<u8> {
    let seed = name.bytes().fold(SEED, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut numbers = Numbers::from(seed);
    (0..size.div_ceil(8)).flat_map(|_| numbers.next().to_le_bytes()).take(size).collect()
}
