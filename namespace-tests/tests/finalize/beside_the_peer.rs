//! Two copies of one disk: the peer finalizes one, ours the other, and then the disks are the same, and so is what the journal
//! was told.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Finalized, Listing, Machine, StagedDisk, compare, listing, show};
use qemu_tests::guest::Guest;

use crate::differences;
use crate::scenario::Scenario;

const MERGED: &str = "d3863baec13e4449ab0384684a8af3a7";

/// Ours beside the peer.
pub(crate) fn the_same_is_left(scenario: &Scenario, guest: Guest) -> Result<()> {
    left(scenario, guest, Contestant::Ours)
}

/// The peer beside itself: that the comparison compares nothing that chance decides, and that the story is what it says.
pub(crate) fn the_peer_leaves_the_same_twice(scenario: &Scenario, guest: Guest) -> Result<()> {
    left(scenario, guest, Contestant::Peer)
}

fn left(scenario: &Scenario, guest: Guest, contestant: Contestant) -> Result<()> {
    let disk = scenario.story.staged(guest)?;
    let (machine, finalized) = finalize(scenario, disk.copy()?, Contestant::Peer)?;
    told_by_the_peer(scenario, &finalized)?;
    let peer = listing(&machine, &finalized)?;
    if let Some(directory) = std::env::var_os("FIRSTROOT_LISTINGS") {
        let name = format!("{}-{guest}", scenario.name());
        std::fs::write(std::path::Path::new(&directory).join(name), format!("{peer:#?}"))?;
    }
    let (machine, finalized) = finalize(scenario, disk.copy()?, contestant)?;
    let ours = listing(&machine, &finalized)?;
    let refused = contestant == Contestant::Ours && scenario.refused.is_some();
    let expected = if refused { untouched(&disk)? } else { peer };
    let mut found = compare(&ours, &expected);
    if contestant == Contestant::Ours {
        if found.iter().any(differences::is_left_to_the_next_boot) {
            // What is left is the whole of an old deployment, or nothing.
            machine.check("/usr/lib/firstroot/ostree-finalize-staged --clean")?;
            found = compare(&listing(&machine, &finalized)?, &expected);
            let left: Vec<_> = found.iter().filter(|found| differences::is_left_to_the_next_boot(found)).collect();
            ensure!(left.is_empty(), "not removed after the next boot: {left:#?}");
        }
        found = differences::unexpected(found, scenario, guest)?;
    }
    let said = format!("{}{}", finalized.outcome.stdout, finalized.outcome.stderr);
    let whose = if refused { "not what was there before" } else { "not what the peer leaves" };
    ensure!(found.is_empty(), "{whose}:\n{}it said:\n{said}", show(&found));
    Ok(())
}

/// What a program leaves that refuses: the disk as it was.
fn untouched(disk: &StagedDisk) -> Result<Listing> {
    let machine = disk.copy()?;
    let mut refused = machine.run_with_journal("exit 1")?;
    refused.journal.clear();
    listing(&machine, &refused)
}

fn finalize(scenario: &Scenario, machine: Machine, contestant: Contestant) -> Result<(Machine, Finalized)> {
    let finalized = machine.finalize_in(contestant, &scenario.environment)?;
    Ok((machine, finalized))
}

/// That the story came to the end that it was written for.
fn told_by_the_peer(scenario: &Scenario, finalized: &Finalized) -> Result<()> {
    let outcome = &finalized.outcome;
    let status = outcome.code.or(outcome.signal.map(|signal| 128 + signal));
    ensure!(status == Some(scenario.status), "the peer ended otherwise: {outcome:?}");
    let Some([modified, removed, added]) = scenario.etc else { return Ok(()) };
    let merged = finalized.journal.iter().find(|message| message.get("MESSAGE_ID").is_some_and(|id| id == MERGED));
    let merged = merged.context("the peer did not tell what it merged")?;
    let told = ["ETC_N_MODIFIED", "ETC_N_REMOVED", "ETC_N_ADDED"].map(|name| merged.get(name).cloned());
    let expected = [modified, removed, added].map(|number| Some(number.to_string()));
    ensure!(told == expected, "the peer merged {told:?}, and {expected:?} is expected");
    Ok(())
}
