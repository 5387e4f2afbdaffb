//! Ours: one list after the other, each projected onto what the one before has left.

use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use esp_projection::plan::{Step, bless, plan};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::marks::Marks;
use crate::target::{Fat, Numbered, list};

/// What takes room.
const FILLER: &str = "more";
/// Less than a kernel needs: see the files that the machine makes.
const LITTLE: u64 = 48 << 10;

/// As many of the scenarios have all kinds of steps.
const FOR_SABOTAGES: usize = 6;

/// Something that happens to the target.
struct Scenario {
    name: &'static str,
    deployments: &'static [Numbered],
    what: What,
}

enum What {
    /// The list is projected; a new default is tried so often.
    Projected(u32),
    /// The default has come up.
    Blessed,
    /// The list is projected, and there is room only when something has gone.
    LittleRoom,
    /// The room is taken between plan and execution.
    Full,
}

const SCENARIOS: [Scenario; 14] = [
    Scenario { name: "first", deployments: &[('a', 'a')], what: What::Projected(3) },
    Scenario { name: "update", deployments: &[('b', 'b'), ('a', 'a')], what: What::Projected(3) },
    Scenario { name: "bless", deployments: &[('b', 'b'), ('a', 'a')], what: What::Blessed },
    Scenario { name: "same-kernel", deployments: &[('c', 'b'), ('b', 'b')], what: What::Projected(3) },
    Scenario { name: "rollback", deployments: &[('b', 'b'), ('c', 'b')], what: What::Projected(3) },
    Scenario { name: "all-others", deployments: &[('d', 'd')], what: What::Projected(0) },
    Scenario { name: "not-the-default", deployments: &[('d', 'd'), ('a', 'a')], what: What::Projected(3) },
    Scenario { name: "little-room", deployments: &[('e', 'e'), ('d', 'd')], what: What::LittleRoom },
    Scenario { name: "removal", deployments: &[('d', 'd')], what: What::Projected(3) },
    Scenario { name: "full", deployments: &[('b', 'b'), ('d', 'd')], what: What::Full },
    Scenario { name: "after-full", deployments: &[('b', 'b'), ('d', 'd')], what: What::Projected(3) },
    // Images beside the kernel of `b`: files of one directory come and go.
    Scenario { name: "image", deployments: &[('f', 'f'), ('b', 'b')], what: What::Projected(3) },
    Scenario { name: "another-image", deployments: &[('9', '9'), ('f', 'f')], what: What::Projected(3) },
    Scenario { name: "kernel-again", deployments: &[('b', 'b')], what: What::Projected(3) },
];

/// Runs all of them.
pub(crate) fn run(program: &str, device: &str, marks: &Marks) -> Result<()> {
    // A sabotaged order may leave other names, which the later ones do not expect.
    let count = if is_ours(program) { SCENARIOS.len() } else { FOR_SABOTAGES };
    SCENARIOS.iter().take(count).try_for_each(|scenario| {
        one(scenario, program, device, marks).with_context(|| format!("the scenario {}", scenario.name))
    })
}

/// Runs a scenario once more on what a power cut in it has left; it is the second part of `again-SCENARIO-NUMBER`.
pub(crate) fn run_again(program: &str, device: &str) -> Result<()> {
    let number = program.split('-').nth(1).context("again-SCENARIO-NUMBER")?;
    let scenario = SCENARIOS.get(number.parse::<usize>()?).context("there is no such scenario")?;
    let list = list(scenario.deployments, 3)?;
    for is_second in [false, true] {
        let mut fat = Fat::open(device)?;
        let steps = plan(&list, &fat.target()?)?;
        ensure!(!is_second || steps.is_empty(), "a second run has something to do: {steps:?}");
        fat.execute(&steps)?;
    }
    Ok(())
}

fn one(scenario: &Scenario, program: &str, device: &str, marks: &Marks) -> Result<()> {
    let mut fat = Fat::open(device)?;
    if matches!(scenario.what, What::LittleRoom) {
        let free = fat.target()?.free;
        fill(&mut fat, free.checked_sub(LITTLE).context("there is little room already")?)?;
    }
    let tries = if let What::Projected(tries) = scenario.what { tries } else { 3 };
    let (list, target) = (list(scenario.deployments, tries)?, fat.target()?);
    let steps = match scenario.what {
        What::Blessed => bless(&list, &target, &list.deployments.first().context("a default")?.deployment),
        _ => plan(&list, &target)?,
    };
    ensure!(!steps.is_empty(), "nothing is to be done");
    let is_full = matches!(scenario.what, What::Full);
    if is_full {
        let free = target.free;
        fill(&mut fat, free)?;
    }
    let steps = sabotaged(steps, program);
    marks.write(&format!("begin {}", scenario.name))?;
    let result = fat.execute(&steps);
    marks.write(&format!("end {}", scenario.name))?;
    if !is_full {
        result?;
        ensure!(!is_ours(program) || plan(&list, &fat.target()?)?.is_empty(), "a second run has something to do");
    } else {
        let error = result.err().context("a full disk took another kernel")?;
        ensure!(format!("{error:#}").contains("No space"), "{error:#}");
    }
    if is_full || matches!(scenario.what, What::LittleRoom) {
        let root = fat.root()?;
        rustix::fs::unlinkat(&root, FILLER, AtFlags::empty()).context("removing what takes room")?;
    }
    Ok(())
}

/// The name of a disk is that of who writes to it.
fn is_ours(program: &str) -> bool {
    program.starts_with("ours")
}

/// Takes so much room.
pub(crate) fn fill(fat: &mut Fat, bytes: u64) -> Result<()> {
    let root = fat.root()?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&root, FILLER, flags, Mode::from_raw_mode(0o600))?;
    let piece = vec![0x55; 4096];
    let mut left = bytes;
    while left > 0 {
        let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match rustix::io::write(&file, piece.get(..count).unwrap_or_default()) {
            Ok(written) => left = left.saturating_sub(written as u64),
            // The directory may have needed a cluster.
            Err(Errno::NOSPC) => break,
            Err(error) => return Err(error).context("taking room"),
        }
    }
    rustix::fs::syncfs(root.as_fd()).context("syncing")
}

/// Steps in an order that the planner never makes, if the sabotage is one of those.
fn sabotaged(steps: Vec<Step>, program: &str) -> Vec<Step> {
    match program {
        "removing-first" => {
            let is_removal = |step: &Step| matches!(step, Step::RemoveEntry(_) | Step::RemovePayload(_));
            let (mut first, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(is_removal);
            first.extend(rest);
            first
        }
        // The new default gets the name of an entry that goes.
        "rename-over" => {
            let going = steps.iter().find_map(|step| match step {
                Step::RemoveEntry(name) => Some(name.clone()),
                _ => None,
            });
            let Some(going) = going else { return steps };
            let over = |step| match step {
                Step::WriteEntry { text, .. } => Some(Step::WriteEntry { name: going.clone(), text }),
                Step::RemoveEntry(name) if name == going => None,
                step => Some(step),
            };
            steps.into_iter().filter_map(over).collect()
        }
        _ => steps,
    }
}
