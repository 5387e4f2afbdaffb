//! How long a whole machine's shutdown takes until an update is finalized: from when it is asked for.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::disk::Filesystem;
use qemu_tests::guest::Guest;
use qemu_tests::journal::JournalEntry;
use qemu_tests::package::Provider;
use qemu_tests::scenario::Scenario;
use qemu_tests::staging::script;

use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

/// Each is a machine that is booted twice.
const RUNS: usize = 3;

/// What of its own time the peer needs for a policy that nobody has touched.
const GOAL_WITH_POLICY: f64 = 0.05;

const UNIT: &str = "ostree-finalize-staged.service";
/// Who asks for the shutdown, as the last thing it does: nothing is stopped before it.
const AGENT: &str = "firstroot-agent.service";
/// `SD_MESSAGE_UNIT_STOPPING` and `SD_MESSAGE_UNIT_STOPPED`.
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";
const STOPPED: &str = "9d1aaa27d60140bd96365438aad20286";

const JOURNAL_OF_THE_BOOT_BEFORE: &str = "journalctl --boot=-1 --output=export";

/// One shutdown.
struct Shutdown {
    /// From when it was asked for until the update was finalized.
    whole: Duration,
    /// Of that, what the unit took.
    unit: Duration,
}

/// Ours, after `--prepare`, beside the peer's, which has nothing like it. `/boot` is a filesystem of its own.
///
/// A guest with an SELinux policy is updated to a tree with another one, and nobody has touched the policy of the machine.
pub(crate) fn figures(guest: Guest) -> Result<Section> {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(shutdown(guest, Provider::Ours).context("firstroot")?);
        peer.push(shutdown(guest, Provider::Peer).context("libostree")?);
    }
    let comparison = |what: &str, figure: fn(&Shutdown) -> Duration, goal: Goal| -> Result<Comparison> {
        let of = |runs: &[Shutdown]| median(runs.iter().map(figure).collect());
        Ok(Comparison { what: what.to_owned(), unit: Unit::Seconds, ours: of(&ours)?, peer: of(&peer)?, goal })
    };
    let none = || Goal::Note(String::new());
    let of_the_unit = if guest.has_selinux() { Goal::Reported(GOAL_WITH_POLICY) } else { none() };
    let comparisons = vec![
        comparison("from request to finalized", |shutdown| shutdown.whole, none())?,
        comparison("  of that: the unit, from stopping to stopped", |shutdown| shutdown.unit, of_the_unit)?,
    ];
    Ok(Section { title: format!("shutdown, {guest}"), comparisons })
}

fn shutdown(guest: Guest, provider: Provider) -> Result<Shutdown> {
    let stage = if guest.has_selinux() {
        "version=2; ostree admin deploy --os=default --stage firstroot/newer"
    } else {
        "version=2; stage 2"
    };
    let stage = match provider {
        Provider::Ours => format!("{stage}; prepared ^Finished"),
        _ => stage.to_owned(),
    };
    let scenario = Scenario::new("time-of-shutdown").on(guest).with_filesystem(Filesystem::Ext4WithBoot);
    let scenario = scenario.deployed_with(provider).booted_by(provider);
    let reports = scenario.run_scripts(&[&script(&stage), JOURNAL_OF_THE_BOOT_BEFORE])?;
    let [staged, finalized] = reports.as_slice() else { anyhow::bail!("two boots") };
    ensure!(staged.script_status()? == 0, "staging: {}", staged.script_output()?);
    let status = finalized.admin_status()?;
    ensure!(status.contains("Version: 2"), "no update was finalized:\n{status}");
    let journal = finalized.script_output()?;
    times(&journal).with_context(|| format!("the journal of the shutdown of {scenario}"))
}

/// From a journal's export.
fn times(journal: &str) -> Result<Shutdown> {
    let entries = JournalEntry::parse_export(journal.as_bytes());
    // The last one: a unit may have stopped before.
    let last = |message: &str, unit: &str| -> Result<Duration> {
        let mut entries = entries.iter().rev();
        let entry =
            entries.find(|entry| entry.field("MESSAGE_ID") == Some(message) && entry.field("UNIT") == Some(unit));
        let time = entry.and_then(|entry| entry.field("__MONOTONIC_TIMESTAMP")?.parse().ok());
        time.map(Duration::from_micros).with_context(|| format!("no message {message} of {unit} with a time"))
    };
    let finalized = last(STOPPED, UNIT)?;
    Ok(Shutdown {
        whole: finalized.saturating_sub(last(STOPPING, AGENT)?),
        unit: finalized.saturating_sub(last(STOPPING, UNIT)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stop_of_the_unit_counts() {
        let entry = |time: u32, message: &str, unit: &str| {
            format!("__MONOTONIC_TIMESTAMP={time}\nMESSAGE_ID={message}\nUNIT={unit}\n\n")
        };
        let journal = [
            entry(100, STOPPED, UNIT),
            entry(2_000, STOPPING, AGENT),
            entry(2_500, STOPPING, "other.service"),
            entry(3_000, STOPPING, UNIT),
            entry(3_700, STOPPED, UNIT),
            entry(4_000, STOPPED, "other.service"),
        ];
        let times = times(&journal.concat()).unwrap();
        assert_eq!((times.whole.as_micros(), times.unit.as_micros()), (1_700, 700));
    }
}
