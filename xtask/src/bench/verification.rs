//! `--verify` of a deployment of 30,000 objects, beside reading them one after the other.
//!
//! This kernel may have no fs-verity, so objects are not sealed: each is compared with its name, which is more than a sealed one
//! needs, of which the kernel does the comparing.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use qemu_tests::guest::Guest;

use super::disk::{Disk, Memory};
use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

const RUNS: usize = 7;

/// Sizes as in the tree of a system: most are small, and the few large ones have most of the bytes.
const LOTS: [(u32, u32); 4] = [(18_000, 2_000), (9_000, 12_000), (2_700, 60_000), (300, 600_000)];

/// Figures of our program alone: the peer has nothing that does this.
pub(crate) fn figures(prepare_root: &Path) -> Result<Section> {
    let machine = story().staged(Guest::Forky)?.copy()?;
    let (mut ours, mut reading) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(once(&machine, |root| verify(prepare_root, root))?);
        reading.push(once(&machine, |root| read_all(&objects(root)?))?);
    }
    let comparison = Comparison {
        what: "beside: reading all objects".to_owned(),
        unit: Unit::Seconds,
        ours: median(ours)?,
        peer: median(reading)?,
        goal: Goal::Reported(1.3),
    };
    Ok(Section { title: "verify, 30,000 objects of 490 MB".to_owned(), comparisons: vec![comparison] })
}

fn story() -> Story {
    let make = LOTS.iter().zip(1..).map(|((files, bytes), lot)| {
        format!("mkdir usr/lib/{lot}; (cd usr/lib/{lot}; head -c $(({files} * {bytes})) /dev/urandom | split -a 5 -b {bytes})\n")
    });
    let configuration = "printf '[composefs]\\nenabled=yes\\n' >usr/lib/ostree/prepare-root.conf\n";
    let tree = make.chain([configuration.to_owned()]).collect::<String>();
    Story { root_size: "1500M".to_owned(), ..Story::named("bench-verify") }.first_tree(tree)
}

/// On a disk that was just mounted: from memory nothing is verified.
fn once(machine: &Machine, work: impl Fn(&Path) -> Result<Duration>) -> Result<Duration> {
    let disk = Disk::of(&machine.root_image(), Memory::Cold)?;
    let place = tempfile::tempdir()?;
    mount(Some(disk.device()), place.path(), Some("ext4"), MsFlags::MS_RDONLY, None::<&str>).context("mounting")?;
    let result = work(place.path());
    umount2(place.path(), MntFlags::empty()).context("unmounting")?;
    result
}

fn verify(prepare_root: &Path, root: &Path) -> Result<Duration> {
    let mut command = Command::new(prepare_root);
    command.arg("--verify").arg(root).arg(deployment(root)?);
    let begin = Instant::now();
    let output = command.output().context("running prepare-root")?;
    let time = begin.elapsed();
    ensure!(output.status.success(), "{output:?}");
    Ok(time)
}

fn deployment(root: &Path) -> Result<String> {
    let names = fs::read_dir(root.join("ostree/deploy/os/deploy"))?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(|name| name.into_string().ok());
    names.into_iter().find(|name| name.ends_with(".0")).context("no deployment")
}

/// Files of the repository, in the order of their names; not part of what is measured.
fn objects(root: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    for directory in fs::read_dir(root.join("ostree/repo/objects"))? {
        for entry in fs::read_dir(directory?.path())? {
            let entry = entry?;
            if entry.file_type()?.is_file() && entry.file_name().to_string_lossy().ends_with(".file") {
                objects.push(entry.path());
            }
        }
    }
    objects.sort_unstable();
    Ok(objects)
}

fn read_all(objects: &[PathBuf]) -> Result<Duration> {
    let mut buffer = vec![0; 128 << 10];
    let begin = Instant::now();
    for object in objects {
        let mut file = File::open(object).with_context(|| object.display().to_string())?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(begin.elapsed())
}
