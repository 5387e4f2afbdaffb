//! No power cut during finalization leaves a machine that does not boot the old system or the new one.
//!
//! `cargo xtask test` looks at a sample of cuts with a fixed seed, `cargo xtask test --all-power-cuts` (`FIRSTROOT_POWER_CUTS=all`) at
//! every one. A failure names the cut; `FIRSTROOT_POWER_CUTS=CUT` with the test's name looks at that one alone.

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use namespace_tests::finalize::{Contestant, Filesystem, Story};
use namespace_tests::power_cut::{Bad, Checker, Cut, Known, Recording, Scratch, every_cut, sample_of_cuts};
use qemu_tests::guest::Guest;
use qemu_tests::{host, rootfs};

const WHICH: &str = "FIRSTROOT_POWER_CUTS";
/// Of ours, for each disk.
const SAMPLE: usize = 24;
/// Subsets of what was not yet flushed, at each write, when every cut is looked at.
const SUBSETS: usize = 2;

/// What the machine has changed: the merge has something to do.
const EDITS: &str = "echo mine >/etc/hostname; rm /etc/conf.d/00001.conf; echo mine >>/etc/conf.d/00002.conf; mkdir /etc/new; \
    for n in 1 2 3 4 5 6 7 8; do echo $n >/etc/new/$n; done";

/// A disk, and what is to be done to it.
#[derive(Clone, Copy)]
struct Disk {
    root: Filesystem,
    boot: Option<Filesystem>,
    swap: Swap,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Swap {
    /// A new kernel: entries are written anew.
    Loader,
    /// The third update: `/boot/ostree` has more names than XFS keeps in an inode, for a while.
    Third,
    /// The same kernel and list: only the boot links are swapped.
    Bootlinks,
}

impl Disk {
    fn name(self) -> String {
        let boot = self.boot.map(|boot| format!("-with-boot-on-{}", boot.name())).unwrap_or_default();
        let swap = match self.swap {
            Swap::Loader => "new-entries",
            Swap::Third => "third-update",
            Swap::Bootlinks => "only-boot-links",
        };
        format!("{}{boot}-{swap}", self.root.name())
    }

    fn story(self) -> Story {
        let name = format!("power-cut-{}", self.name());
        let mut story = Story::named(name).on(self.root);
        if let Some(boot) = self.boot {
            story = story.with_boot_on(boot);
        }
        story.kernel_bytes = 300_000;
        story.initramfs_bytes = 700_000;
        match self.swap {
            Swap::Loader => story.tree("os/next", "2", "kernel 2; echo 2 >usr/etc/vendor").stage("os/next"),
            Swap::Third => story
                .tree("os/one", "2", "kernel 2 6.2.0")
                .tree("os/two", "3", "kernel 3 6.3.0")
                .tree("os/three", "4", "kernel 4 6.4.0; echo 4 >usr/etc/vendor")
                .stage("os/one")
                .reboot()
                .then("ostree admin pin 1")
                .stage("os/two")
                .reboot()
                .stage("os/three"),
            Swap::Bootlinks => story
                .tree("os/one", "1", "echo 1 >usr/etc/vendor")
                .tree("os/two", "1", "echo 2 >usr/etc/vendor")
                .stage("os/one")
                .reboot()
                .stage("os/two"),
        }
    }
}

fn disks() -> Vec<Disk> {
    let mut disks = Vec::new();
    for swap in [Swap::Loader, Swap::Third, Swap::Bootlinks] {
        for (root, boot) in [
            (Filesystem::Ext4, None),
            (Filesystem::Xfs, None),
            (Filesystem::Ext4, Some(Filesystem::Ext4)),
            (Filesystem::Ext4, Some(Filesystem::Xfs)),
        ] {
            disks.push(Disk { root, boot, swap });
        }
    }
    disks
}

/// Finalizes on a logged disk, and looks at what cuts of the power leave. `stop_at_first`: one that is bad is enough.
fn cut(disk: Disk, guest: Guest, contestant: Contestant, sample: usize, stop_at_first: bool) -> Result<Found> {
    let staged = disk.story().staged(guest)?;
    let machine = staged.copy()?;
    machine.check(EDITS)?;
    let after = machine.another()?;
    // The state that must come out is that of one who does not sabotage himself.
    let undisturbed = if contestant == Contestant::Peer { contestant } else { Contestant::Ours };
    after.finalize(undisturbed)?.outcome.success()?;
    let known = Known::of(&machine, &after)?;
    let scratch = Scratch::new()?;
    let (recording, finalized) = Recording::of(machine, contestant, &scratch.directory("recording")?)?;
    finalized.outcome.success()?;
    let cuts = match std::env::var(WHICH) {
        Err(_) => sample_of_cuts(&recording, sample),
        Ok(all) if all == "all" => every_cut(&recording, SUBSETS),
        Ok(one) => vec![Cut::from_str(&one)?],
    };
    let mut checker = Checker::of(&recording, &known, &scratch.directory("cut")?)?;
    let mut found = Found { states: 0, writes: recording.writes(), bad: Vec::new() };
    for cut in cuts {
        found.states += 1;
        if let Some(bad) = checker.check(cut).with_context(|| format!("{WHICH}={cut}"))? {
            found.bad.push((cut, bad));
            if stop_at_first {
                break;
            }
        }
    }
    Ok(found)
}

/// What came of the cuts of one disk.
struct Found {
    states: usize,
    writes: usize,
    bad: Vec<(Cut, Bad)>,
}

fn nothing_is_lost(disk: Disk, guest: Guest) -> Result<()> {
    let found = cut(disk, guest, Contestant::Ours, SAMPLE, true)?;
    eprint!("[{} states of {} writes] ", found.states, found.writes);
    if let Some((cut, bad)) = found.bad.first() {
        bail!(
            "a machine does not boot as it should after the power cut {cut} ({WHICH}={cut} repeats it):\n{}",
            [bad.grub.clone(), bad.kernel.clone()].concat().join("\n")
        );
    }
    Ok(())
}

/// A test that cannot fail proves nothing.
fn is_caught(disks: &[Disk], guest: Guest, sabotage: &'static str) -> Result<()> {
    for disk in disks {
        let found = cut(*disk, guest, Contestant::Sabotaged(sabotage), 150, true)?;
        if let Some((cut, bad)) = found.bad.first() {
            let text = bad.grub.iter().chain(&bad.kernel).next().cloned().unwrap_or_default();
            eprint!("[{}, cut {cut}: {}] ", disk.name(), text.lines().next().unwrap_or_default());
            return Ok(());
        }
    }
    bail!("{sabotage} was not noticed");
}

/// For the table in `docs/benchmarks.md`: counts, and asserts nothing of the peer.
fn figures(disk: Disk, guest: Guest) -> Result<()> {
    ensure!(std::env::var(WHICH).is_ok_and(|which| which == "all"), "only with {WHICH}=all");
    for contestant in [Contestant::Ours, Contestant::Peer] {
        let found = cut(disk, guest, contestant, 0, false)?;
        let (grub, kernel) = found.bad.iter().fold((0, 0), |(grub, kernel), (_, bad)| {
            (grub + usize::from(!bad.grub.is_empty()), kernel + usize::from(!bad.kernel.is_empty()))
        });
        println!("{} {contestant:?}: {} states, bad for GRUB {grub}, after replay {kernel}", disk.name(), found.states);
        for (cut, bad) in found.bad.iter().take(3) {
            println!("  {cut}: {}", bad.grub.iter().chain(&bad.kernel).next().cloned().unwrap_or_default());
        }
    }
    Ok(())
}

fn trial(name: String, missing: Option<&str>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let run = move || run().map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, run).with_kind(missing.unwrap_or_default()).with_ignored_flag(missing.is_some())
}

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let guest = Guest::Trixie;
    let wanted = std::env::var_os("FIRSTROOT_PEERS").is_some();
    let missing = if wanted {
        rootfs::why_not_installable(guest)
    } else {
        Some("needs root and a guest: cargo xtask test".to_owned())
    };
    if missing.is_none()
        && !arguments.list
        && let Err(error) = host::enter_mount_namespace().and_then(|()| host::ensure_ready())
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let needs = |contestant: Contestant| {
        let binary = (!contestant.is_there()).then(|| "needs the static binary: cargo xtask test".to_owned());
        missing.clone().or(binary)
    };
    let mut trials = Vec::new();
    for disk in disks() {
        let name = format!("a_power_cut_is_survived::{}", disk.name());
        trials.push(trial(name, needs(Contestant::Ours).as_deref(), move || nothing_is_lost(disk, guest)));
        let everything = std::env::var(WHICH).is_ok_and(|which| which == "all");
        if everything {
            trials.push(trial(format!("figures::{}", disk.name()), needs(Contestant::Ours).as_deref(), move || {
                figures(disk, guest)
            }));
        }
    }
    for sabotage in ["no-freeze", "link-not-atomic", "no-sync", "entries-in-place", "rename"] {
        // Where each shows itself first.
        let xfs_first = sabotage == "no-freeze";
        let mut all = disks();
        all.sort_by_key(|disk| (disk.swap != Swap::Third, (disk.root == Filesystem::Xfs) != xfs_first));
        let missing = needs(Contestant::Sabotaged(sabotage));
        let run = move || is_caught(&all, guest, sabotage);
        trials.push(trial(format!("a_sabotage_is_noticed::{sabotage}"), missing.as_deref(), run));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
