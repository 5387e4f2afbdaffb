//! Targets on which something stands in the way. What boots must go on to boot, and what is not ours must stay.

use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use esp_projection::plan::{Step, plan};
use rustix::fs::{Mode, OFlags};

use crate::marks::Marks;
use crate::scenarios::fill;
use crate::target::{Fat, Numbered, list};

const OLD: Numbered = ('a', 'a');
const NEW: Numbered = ('b', 'b');
/// Where FAT32 keeps how much is free, and whether it is in use.
const FREE_COUNT: u64 = 512 + 488;
const STATE: u64 = 0x41;
/// Where others have mounted it.
const ELSEWHERE: &str = "/elsewhere";
/// In place of a program's name.
pub(crate) const WRITES_AND_DIES: &str = "writes-and-dies";
/// A file that is not ours.
const OTHERS: &[u8] = b"not firstroot's";

/// Projects a list, does what the name of the disk says, and projects the next one. The last mark is what that has told.
pub(crate) fn run(program: &str, device: &str, marks: &Marks) -> Result<()> {
    let case = program.strip_prefix("bad-").context("bad-CASE")?;
    match case {
        // There is nothing yet but a file in the place of a directory.
        "first" => put(&Fat::open(device)?.root()?, "loader")?,
        "short-names" => short_names(&Fat::open(device)?.root()?)?,
        _ => {}
    }
    if case != "first" {
        project(&mut Fat::open(device)?, &[OLD])?;
        prepare(case, device)?;
    }
    let told = match project(&mut Fat::open(device)?, &[NEW, OLD]) {
        Ok(()) => "nothing".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    if case == "read-only" {
        busybox(&["blockdev", "--setrw", device])?;
    }
    marks.write(&format!("told {}", told.get(..400).unwrap_or(&told)))
}

fn project(fat: &mut Fat, deployments: &[Numbered]) -> Result<()> {
    let list = list(deployments, 3)?;
    let steps = plan(&list, &fat.target()?)?;
    fat.execute(&steps)?;
    let again = plan(&list, &fat.target()?)?;
    ensure!(again.is_empty(), "a second run has something to do: {again:?}");
    Ok(())
}

fn prepare(case: &str, device: &str) -> Result<()> {
    let mut fat = Fat::open(device)?;
    let steps = plan(&list(&[NEW, OLD], 3)?, &fat.target()?)?;
    let payload = steps.iter().find_map(|step| match step {
        Step::WritePayload(payload) => Some(payload.path().to_owned()),
        _ => None,
    });
    let entry = steps.iter().find_map(|step| match step {
        Step::WriteEntry { name, .. } => Some(format!("loader/entries/{name}")),
        _ => None,
    });
    let (payload, entry) = (payload.context("no kernel is written")?, entry.context("no entry is written")?);
    let root = fat.root()?;
    match case {
        "dir-for-kernel" => {
            make(&root, &payload)?;
            make(&root, &format!("{payload}/vmlinuz"))?;
            put(&root, &format!("{payload}/vmlinuz/others"))?;
        }
        "file-for-dir" => put(&root, &payload)?,
        "dir-for-entry" => {
            make(&root, &entry)?;
            put(&root, &format!("{entry}/others"))?;
        }
        "dir-for-sums" => {
            make(&root, &payload)?;
            make(&root, &format!("{payload}/SHA256SUMS"))?;
        }
        "foreign-kernel" => {
            make(&root, &payload)?;
            put(&root, &format!("{payload}/vmlinuz"))?;
        }
        "foreign-entry" => put(&root, &entry)?,
        "upper-case" => {
            for path in names(&root, "loader/entries")? {
                let upper = format!("loader/entries/{}", path.to_uppercase());
                rename(&root, &format!("loader/entries/{path}"), "loader/entries/between")?;
                rename(&root, "loader/entries/between", &upper)?;
            }
            for (name, upper) in [("loader", "LOADER"), ("ostree", "OSTREE")] {
                rename(&root, name, "between")?;
                rename(&root, "between", upper)?;
            }
        }
        "free-count-lies" => {
            let free = fat.target()?.free;
            fill(&mut fat, free)?;
        }
        "clock-of-1970" => busybox(&["date", "-s", "@3600"])?,
        "dirty" | "read-only" | "short-names" | "killed" => {}
        _ => bail!("there is no case {case}"),
    }
    rustix::fs::syncfs(&root)?;
    drop((root, fat));
    match case {
        "free-count-lies" => write_at(device, FREE_COUNT, &60_000_u32.to_le_bytes()),
        "dirty" => write_at(device, STATE, &[1]),
        "read-only" => busybox(&["blockdev", "--setro", device]),
        "killed" => killed(device),
        _ => Ok(()),
    }
}

/// A program is killed while it writes. What others have mounted read-only is read-only again, as soon as nobody else writes.
fn killed(device: &str) -> Result<()> {
    std::fs::create_dir_all(ELSEWHERE)?;
    busybox(&["mount", "-t", "vfat", "-o", "ro", device, ELSEWHERE])?;
    let status = Command::new("/proc/self/exe").args([WRITES_AND_DIES, device]).status().context("a program")?;
    ensure!(status.signal() == Some(9), "it was to be killed: {status}");
    // Once in a tenth of a second it is tried.
    for _ in 0..600 {
        if is_read_only_elsewhere()? {
            return busybox(&["umount", ELSEWHERE]);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("it is still writable")
}

/// Begins to write, and is killed.
pub(crate) fn write_and_die(device: &str) -> Result<()> {
    let mut fat = Fat::open(device)?;
    put(&fat.root()?, "of-the-killed")?;
    ensure!(!is_read_only_elsewhere()?, "it is not written to");
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
    Ok(())
}

/// Whether the filesystem is, and not only that mount of it.
fn is_read_only_elsewhere() -> Result<bool> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let line = table.lines().find(|line| line.contains(&format!(" {ELSEWHERE} "))).context("not mounted elsewhere")?;
    Ok(line.rsplit(' ').next().is_some_and(|options| options.split(',').any(|option| option == "ro")))
}

/// Files with the names that FAT gives our files for programs which know no long names.
fn short_names(root: &OwnedFd) -> Result<()> {
    for path in ["loader", "loader/entries", "ostree"] {
        make(root, path)?;
    }
    put(root, "loader/entries/OSTREE~1.CON")?;
    put(root, "ostree/OS-BBB~1")
}

/// Writes to the disk while nothing has it mounted.
fn write_at(device: &str, offset: u64, bytes: &[u8]) -> Result<()> {
    let device = rustix::fs::open(device, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::pwrite(&device, bytes, offset)?;
    Ok(rustix::fs::fsync(&device)?)
}

fn busybox(words: &[&str]) -> Result<()> {
    let status = Command::new("/bin/busybox").args(words).status().context("busybox")?;
    ensure!(status.success(), "{words:?}: {status}");
    Ok(())
}

fn make(root: &OwnedFd, path: &str) -> Result<()> {
    rustix::fs::mkdirat(root, path, Mode::from_raw_mode(0o755)).with_context(|| format!("making {path}"))
}

fn put(root: &OwnedFd, path: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o644)).with_context(|| path.to_owned())?;
    rustix::io::write(&file, OTHERS)?;
    Ok(())
}

fn rename(root: &OwnedFd, from: &str, to: &str) -> Result<()> {
    rustix::fs::renameat(root, from, root, to).with_context(|| format!("renaming {from}"))
}

fn names(root: &OwnedFd, path: &str) -> Result<Vec<String>> {
    let directory = rustix::fs::openat(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let entries = rustix::fs::Dir::read_from(directory)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_str()?.to_owned())).collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| !name.starts_with('.')).collect())
}
