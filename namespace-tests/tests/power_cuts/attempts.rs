//! The exchange of lists by `ostree-prepare-root`, when an update has not come up: after a power cut at any write, boot loaders find the
//! list as it was, or the one that begins with the older deployment.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use namespace_tests::attempts::{TREE, boot};
use namespace_tests::finalize::{Contestant, Filesystem, Machine, Story};
use namespace_tests::power_cut::{Checker, Known, Recording, Scratch};
use qemu_tests::command::run;
use qemu_tests::guest::Guest;
use qemu_tests::host;

use crate::run::{FEW, cuts};

/// Who exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchanger {
    Ours,
    /// One name after the other.
    InThreeSteps,
}

const THREE_STEPS: &str = "cd boot; active=$(readlink loader); mv $active aside; sync -f .
    mv loader.firstroot $active; sync -f .; mv aside loader.firstroot; sync -f .";

/// The update has another kernel, and was tried twice in vain.
fn tried_in_vain(filesystem: Filesystem) -> Result<Machine> {
    let story = Story::named(format!("attempts-cut-{}", filesystem.name())).on(filesystem).first_tree(TREE);
    let story = story.configured("sysroot.bootprefix", "true");
    let story = story.tree("os/next", "2", format!("{TREE}\nkernel 2")).stage("os/next");
    let machine = story.staged(Guest::Trixie)?.copy()?;
    machine.check("printf 'tries=2\\n' >/run/ostree/boot-count")?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    for _ in 0..2 {
        ensure!(boot(&machine)?.is_trial, "it is not counted");
    }
    Ok(machine)
}

fn exchanged(machine: &Machine, exchanger: Exchanger) -> Result<()> {
    match exchanger {
        Exchanger::Ours => {
            let told = boot(machine)?.told;
            ensure!(told.contains("which is the default now"), "{told}");
            Ok(())
        }
        Exchanger::InThreeSteps => {
            machine.with_disk(|root| run(Command::new("sh").args(["-euc", THREE_STEPS]).current_dir(root)).map(drop))
        }
    }
}

/// Records an exchange, and looks at what each power cut leaves. Returns how many were looked at.
fn every_power_cut(filesystem: Filesystem, exchanger: Exchanger) -> Result<usize> {
    host::in_a_mount_namespace(|| {
        let machine = tried_in_vain(filesystem)?;
        let scratch = Scratch::new()?;
        let directory = scratch.directory("recording")?;
        let (recording, ()) = Recording::while_running(machine, &directory, |machine, marks| {
            run(Command::new("sh").args(["-euc", &marks.begin_here]))?;
            exchanged(machine, exchanger)?;
            run(Command::new("sh").args(["-euc", &marks.end_here])).map(drop)
        })?;
        let known = Known::of(&recording, &directory)?;
        let mut checker = Checker::of(&recording, &known, &directory)?;
        let cuts = cuts(&recording, FEW);
        for cut in &cuts {
            let bad = checker.check(*cut)?;
            ensure!(bad.is_none(), "power cut {cut}: {bad:?}");
        }
        Ok(cuts.len())
    })
}

/// Boot loaders and the kernel find one of both lists, whole.
pub(crate) fn every_power_cut_leaves_one_of_both_lists(filesystem: Filesystem) -> Result<()> {
    let cuts = every_power_cut(filesystem, Exchanger::Ours)?;
    ensure!(cuts > 5, "only {cuts} power cuts were looked at");
    Ok(())
}

/// An exchange in steps is found out.
pub(crate) fn three_steps_are_noticed(filesystem: Filesystem) -> Result<()> {
    match every_power_cut(filesystem, Exchanger::InThreeSteps) {
        Err(error) if format!("{error:#}").contains("listing /boot/loader/entries: No such file") => Ok(()),
        Err(error) => Err(error).context("another failure"),
        Ok(cuts) => bail!("none of {cuts} power cuts was noticed"),
    }
}
