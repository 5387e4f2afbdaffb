//! Sequences of system calls of other projects, done again on the same FAT. They are not their programs: what these do besides is left
//! out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use esp_projection::plan::{Step, plan};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};

use crate::marks::Marks;
use crate::target::{Fat, Numbered, list};

const ENTRIES: &str = "loader/entries";
const STAGED: &str = "loader/entries.staged";
const OLD: Numbered = ('a', 'a');
const NEW: Numbered = ('b', 'b');

/// `systemd-bless-boot good`: rename, fsync of the directory, syncfs.
pub(crate) fn bless_boot(device: &str, marks: &Marks) -> Result<()> {
    let mut fat = Fat::open(device)?;
    project(&mut fat, &[OLD])?;
    project(&mut fat, &[NEW, OLD])?;
    let entries = fat.target()?.entries;
    let counted = entries.iter().find(|entry| entry.name.tries.is_some()).context("no entry counts")?;
    let (from, to) = (counted.name.to_string(), counted.name.id());
    let root = fat.root()?;
    let directory = directory(&root, ENTRIES)?;
    marks.write("begin bless")?;
    rustix::fs::renameat(&directory, &from, &directory, &to).context("renaming")?;
    rustix::fs::fsync(&directory)?;
    rustix::fs::syncfs(root.as_fd())?;
    marks.write("end bless")
}

/// bootc's composefs backend: a directory with the new entries is exchanged with the old one, which is removed then.
pub(crate) fn exchange(device: &str, marks: &Marks) -> Result<()> {
    let mut fat = Fat::open(device)?;
    project(&mut fat, &[OLD])?;
    let steps = plan(&list(&[NEW, OLD], 3)?, &fat.target()?)?;
    let (entries, others): (Vec<Step>, Vec<Step>) =
        steps.into_iter().partition(|step| matches!(step, Step::WriteEntry { .. }));
    fat.execute(&others)?;
    let root = fat.root()?;
    rustix::fs::mkdirat(&root, STAGED, Mode::from_raw_mode(0o755))?;
    for step in entries {
        let Step::WriteEntry { name, text } = step else { continue };
        write(&root, &format!("{STAGED}/{name}"), text.as_bytes(), true)?;
    }
    let old = rustix::fs::Dir::read_from(directory(&root, ENTRIES)?)?;
    let names: Vec<String> = old
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
        .filter(|name| !name.starts_with('.'))
        .collect();
    for name in &names {
        copy(root.as_fd(), &format!("{ENTRIES}/{name}"), &root, &format!("{STAGED}/{name}"), true)?;
    }
    rustix::fs::syncfs(root.as_fd())?;
    marks.write("begin update")?;
    rustix::fs::renameat_with(&root, STAGED, &root, ENTRIES, RenameFlags::EXCHANGE).context("exchanging")?;
    for name in &names {
        rustix::fs::unlinkat(&root, format!("{STAGED}/{name}"), AtFlags::empty())?;
    }
    rustix::fs::unlinkat(&root, STAGED, AtFlags::REMOVEDIR)?;
    rustix::fs::fsync(directory(&root, "loader")?)?;
    marks.write("end update")
}

/// `kernel-install add`: kernel, initramfs and entry are copied to their names; nothing is synced.
pub(crate) fn kernel_install(device: &str, marks: &Marks) -> Result<()> {
    let mut fat = Fat::open(device)?;
    project(&mut fat, &[OLD])?;
    let steps = plan(&list(&[NEW, OLD], 0)?, &fat.target()?)?;
    let root = fat.root()?;
    marks.write("begin update")?;
    for step in &steps {
        match step {
            Step::WritePayload(payload) => {
                rustix::fs::mkdirat(&root, payload.path(), Mode::from_raw_mode(0o755))?;
                for name in ["vmlinuz", "initramfs.img"] {
                    let path = format!("{}/{name}", payload.path());
                    copy(fat.boot(), &path, &root, &path, false)?;
                }
            }
            Step::WriteEntry { name, text } => {
                write(&root, &format!("{ENTRIES}/{name}"), text.as_bytes(), false)?;
            }
            _ => {}
        }
    }
    marks.write("end update")?;
    // What the kernel does within half a minute.
    rustix::fs::syncfs(root.as_fd())?;
    ensure!(fat.target()?.entries.len() == 2, "there are not two entries");
    Ok(())
}

fn project(fat: &mut Fat, deployments: &[Numbered]) -> Result<()> {
    let steps = plan(&list(deployments, 3)?, &fat.target()?)?;
    fat.execute(&steps)
}

fn directory(root: &OwnedFd, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(root, path, flags, Mode::empty()).with_context(|| format!("opening {path}"))
}

fn write(root: &OwnedFd, path: &str, bytes: &[u8], sync: bool) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o644)).context(path.to_owned())?;
    let mut left = bytes;
    while !left.is_empty() {
        let count = rustix::io::write(&file, left)?;
        left = left.get(count..).unwrap_or_default();
    }
    if sync {
        rustix::fs::fsync(&file)?;
    }
    Ok(())
}

fn copy(from: BorrowedFd<'_>, path: &str, root: &OwnedFd, to: &str, sync: bool) -> Result<()> {
    let file = rustix::fs::openat(from, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)?;
    write(root, to, &bytes, sync)
}
