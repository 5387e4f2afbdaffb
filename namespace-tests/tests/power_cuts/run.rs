//! How a test is run.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use namespace_tests::power_cut::{Bad, Checker, Cut, Known, Recording, Scratch, every_cut, sample_of_cuts, shuffled};
use qemu_tests::host;

use crate::disks::{self, Boot};
use crate::tests::{Expected, Test};

/// Power cuts of a sample, besides those after each write.
const SAMPLE: usize = 12;
/// The same where little is written.
pub(crate) const FEW: usize = 4;
/// Random subsets at each write, where all are wanted.
const SUBSETS: usize = 4;
/// How many bad power cuts are described.
const DESCRIBED: usize = 12;

/// Whether every power cut is looked at.
pub(crate) fn all_are_wanted() -> bool {
    std::env::var_os("FIRSTROOT_POWER_CUTS").is_some_and(|value| value == "all")
}

/// The power cuts that are looked at: all, or those while the program runs and as many `others`.
pub(crate) fn cuts(recording: &Recording, others: usize) -> Vec<Cut> {
    if all_are_wanted() { every_cut(recording, SUBSETS) } else { sample_of_cuts(recording, others) }
}

/// `DIRECTORY:CUT` of one to be repeated.
fn repeated() -> Result<Option<(PathBuf, Cut)>> {
    let Some(value) = std::env::var_os("FIRSTROOT_POWER_CUT") else { return Ok(None) };
    let value = value.to_string_lossy().into_owned();
    let (directory, cut) = value.rsplit_once(':').context("FIRSTROOT_POWER_CUT is DIRECTORY:CUT")?;
    Ok(Some((PathBuf::from(directory), cut.parse()?)))
}

/// Runs it in a mount namespace of its own: programs that other tests start do not see its mounts, and cannot keep them.
pub(crate) fn run(test: &Test) -> Result<()> {
    host::in_a_mount_namespace(|| run_here(test))
}

fn run_here(test: &Test) -> Result<()> {
    let begin = Instant::now();
    let machine = disks::story(test.filesystem, test.boot, test.entries, test.loader).staged(test.guest)?.copy()?;
    let scratch = Scratch::new()?;
    let directory = scratch.directory("recording")?;
    let repeated = repeated()?;
    let recording = match &repeated {
        Some((kept, _)) => Recording::kept(&machine, kept, &directory)?,
        None => {
            let (recording, finalized) = Recording::of(machine, test.contestant, &directory)?;
            finalized.outcome.success()?;
            recording
        }
    };
    let known = Known::of(&recording, &directory)?;
    let known = if test.boot == Boot::Small { known.with_little_room() } else { known };
    is_merged(&known)?;
    let cuts = match repeated {
        Some((_, cut)) => vec![cut],
        None if test.expected == Expected::SomeAreBad => shuffled(every_cut(&recording, 1)),
        None => cuts(&recording, SAMPLE),
    };
    let mut checker = Checker::of(&recording, &known, &directory)?;
    let mut bad = Vec::new();
    let mut looked_at = 0;
    for cut in &cuts {
        looked_at += 1;
        let found = checker.check(*cut).with_context(|| format!("power cut {cut}"))?;
        if !found.is_none() {
            bad.push((*cut, found));
            if test.expected == Expected::SomeAreBad {
                break;
            }
        }
    }
    let grub = bad.iter().filter(|(_, bad)| !bad.grub.is_empty()).count();
    let kernel = bad.iter().filter(|(_, bad)| !bad.kernel.is_empty()).count();
    eprintln!(
        "{}: {} writes, {looked_at} power cuts, bad after replay {kernel}, bad for GRUB {grub}; {:.1} s",
        test.name(),
        recording.writes(),
        begin.elapsed().as_secs_f64()
    );
    if std::env::var_os("FIRSTROOT_SHOW").is_some() {
        eprintln!("{} {}", test.name(), described(&bad));
    }
    match test.expected {
        Expected::Figures => Ok(()),
        Expected::SomeAreBad => {
            ensure!(!bad.is_empty(), "nobody noticed");
            Ok(())
        }
        Expected::NoneIsBad if bad.is_empty() => Ok(()),
        Expected::NoneIsBad => {
            let kept = keep(&recording, test)?;
            bail!("{}\n{}", described(&bad), how_to_repeat(test, &kept, &bad))
        }
    }
}

/// That the machine's `/etc` is in the new one is what others test; here it is what the disks are compared with.
fn is_merged(known: &Known) -> Result<()> {
    for (path, content) in [
        ("hostname", Some("\"mine\\\\n\"")),
        ("conf.d/00001.conf", None),
        ("conf.d/00002.conf", Some("\"changed\\\\n\"")),
        ("conf.d/00003.conf", Some("\"shipped 3\\\\n\"")),
        ("new.d/file", Some("\"more\\\\n\"")),
    ] {
        let found = known.new_etc(path);
        ensure!(found == content, "{path} in the new /etc: {found:?}");
    }
    Ok(())
}

fn described(bad: &[(Cut, Bad)]) -> String {
    let mut text = String::new();
    for (cut, bad) in bad.iter().take(DESCRIBED) {
        for (whose, complaints) in [("GRUB", &bad.grub), ("the kernel", &bad.kernel)] {
            for complaint in complaints {
                text += &format!("power cut {cut}, {whose}: {complaint}\n");
            }
        }
    }
    if bad.len() > DESCRIBED {
        text += &format!("and {} more\n", bad.len() - DESCRIBED);
    }
    text
}

fn keep(recording: &Recording, test: &Test) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let directory = workspace.join("target/power-cuts").join(test.name().replace("::", "-"));
    recording.keep(&directory)?;
    Ok(directory)
}

fn how_to_repeat(test: &Test, kept: &Path, bad: &[(Cut, Bad)]) -> String {
    let cut = bad.first().map(|(cut, _)| cut.to_string()).unwrap_or_default();
    format!(
        "to look at one again: FIRSTROOT_PEERS=1 FIRSTROOT_FINALIZE_STAGED=/bin/true FIRSTROOT_POWER_CUT={}:{cut} \
         cargo test --package namespace-tests --test power_cuts -- --exact {}",
        kept.display(),
        test.name()
    )
}
