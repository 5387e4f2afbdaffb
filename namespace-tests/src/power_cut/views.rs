//! What is on `/boot`, in the eyes of GRUB and of the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use qemu_tests::boot_entry::BootEntry;

use super::layout::Layout;
use crate::finalize::listing::shown;

/// Reads files.
pub(super) trait View {
    /// Of whom.
    fn whose(&self) -> &'static str;
    /// Names in a directory; one that is not there may be an empty one.
    fn list(&self, path: &str) -> Result<Vec<String>>;
    /// A file's bytes.
    fn read(&self, path: &str) -> Result<Vec<u8>>;
}

/// GRUB's: it does not replay journals.
pub(super) struct Grub<'a> {
    disk: &'a Path,
    device: String,
}

impl<'a> Grub<'a> {
    pub(super) fn on(disk: &'a Path, layout: &Layout) -> Result<Grub<'a>> {
        let (number, _) = layout.boot().context("no partition")?;
        Ok(Grub { disk, device: format!("(loop0,msdos{})", number + 1) })
    }

    fn run(&self, command: &str, path: &str) -> Result<Vec<u8>> {
        let mut program = Command::new("grub-fstest");
        let output = program.arg(self.disk).arg(command).arg(format!("{}{path}", self.device)).output();
        let output = output.context("starting grub-fstest")?;
        let error = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !error.is_empty() {
            bail!("{command} {path}: {}, {}", output.status, error.trim());
        }
        Ok(output.stdout)
    }
}

impl View for Grub<'_> {
    fn whose(&self) -> &'static str {
        "GRUB"
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let names = self.run("ls", &format!("{path}/"))?;
        Ok(String::from_utf8_lossy(&names).split_whitespace().map(str::to_owned).collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.run("cat", path)
    }
}

/// The kernel's, after it has replayed the journal.
pub(super) struct Mounted {
    /// Where the partition with `/boot` is mounted.
    pub(super) partition: PathBuf,
}

impl Mounted {
    fn path(&self, path: &str) -> PathBuf {
        self.partition.join(path.trim_start_matches('/'))
    }
}

impl View for Mounted {
    fn whose(&self) -> &'static str {
        "the kernel"
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let listing = fs::read_dir(self.path(path)).with_context(|| format!("listing {path}"))?;
        listing.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.path(path)).with_context(|| format!("reading {path}"))
    }
}

/// An entry as it is listed.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    /// The value of `ostree=`.
    pub(super) link: Option<String>,
    /// The kernel's content, in short; or why there is none.
    pub(super) kernel: Result<String, String>,
    /// The same of each initramfs.
    pub(super) initramfs: Vec<Result<String, String>>,
}

/// The entries, the default first. Where a boot loader reads another file, that is whole, and has the same kernels, initramfs and boot links.
pub(super) fn entries(view: &dyn View, boot: &str) -> Result<Vec<Listed>> {
    let directory = format!("{boot}/loader/entries");
    let mut in_entries = Vec::new();
    let names = BootEntry::in_order(view.list(&directory)?);
    let listed = |name: String| {
        let text = view.read(&format!("{directory}/{name}"))?;
        let entry = BootEntry::parse(&String::from_utf8_lossy(&text));
        // Paths in an entry begin where GRUB's do, at the root of the partition.
        in_entries.extend(booted(&text));
        let content = |path: &str| view.read(path).map(|bytes| shown(&bytes)).map_err(|error| format!("{error:#}"));
        Ok(Listed {
            link: entry.argument("ostree").map(str::to_owned),
            kernel: content(&entry.linux),
            initramfs: entry.initrd.iter().map(|path| content(path)).collect(),
            name,
        })
    };
    let listed = names.into_iter().map(listed).collect::<Result<Vec<Listed>>>()?;
    for name in view.list(&format!("{boot}/loader"))?.iter().filter(|name| FILES.contains(&name.as_str())) {
        let text = view.read(&format!("{boot}/loader/{name}"))?;
        let mut in_file = booted(&text);
        in_file.sort();
        in_entries.sort();
        if in_file != in_entries {
            bail!("{name} has {in_file:?}, and the entries have {in_entries:?}");
        }
    }
    Ok(listed)
}

/// Files that boot loaders read in place of entries.
const FILES: [&str; 3] = ["syslinux.cfg", "uEnv.txt", "grub.cfg"];

/// The kernels, initramfs and boot links that a text names: all words with one of them, from `/ostree/` on.
fn booted(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let words = text.split(|separates: char| separates.is_whitespace() || separates == '=');
    let is_file = |word: &&str| word.contains("/vmlinuz-") || word.contains("/initramfs-");
    let named = words.filter(|word| is_file(word) || word.starts_with("/ostree/boot."));
    named.filter_map(|word| word.find("/ostree/").and_then(|at| word.get(at..)).map(str::to_owned)).collect()
}
