//! What an ESP costs where nothing is to be done: in a whole machine, since this kernel may have no FAT.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::catalogue;
use qemu_tests::firmware::ESP_PARTUUID;
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;

use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

/// Runs of each, in turn.
const RUNS: usize = 41;

/// The ESP has what `/boot` has; `ostree admin status` reads the list, too.
const MEASURE: &str = r"
    set -e
    for run in $(seq $runs); do
        begin=$(date +%s%6N)
        firstroot esp sync >/run/said
        echo projecting $(($(date +%s%6N) - begin))
        grep --quiet 'nothing to do' /run/said
        begin=$(date +%s%6N)
        ostree admin status >/run/said
        echo listing $(($(date +%s%6N) - begin))
    done
";

/// Figures of our programs alone, and beside libostree's nearest.
pub(crate) fn figures(guest: Guest) -> Result<Section> {
    let measure = format!("runs={RUNS}\n{MEASURE}");
    let project = format!(
        "set -e; mkdir -p /etc/ostree; printf '[esp]\\nenabled=yes\\npartition=PARTUUID={ESP_PARTUUID}\\n' >/etc/ostree/esp.conf
         firstroot esp sync"
    );
    let scenario = catalogue::scenario(&format!("{guest}:esp"))?;
    let reports = scenario.run_scripts_from_esp(&project, &[&measure])?;
    let [projected, measured] = reports.as_slice() else { anyhow::bail!("two boots") };
    let [_, output] = [output(projected)?, output(measured)?];
    let beside = |what: &str, ours, peer, goal| -> Result<Comparison> {
        let (ours, peer) = (time(&output, ours)?, time(&output, peer)?);
        Ok(Comparison { what: what.to_owned(), unit: Unit::Seconds, ours, peer, goal })
    };
    let comparisons = vec![beside(
        "esp sync with nothing to do, beside ostree admin status",
        "projecting",
        "listing",
        Goal::Reported(1.0),
    )?];
    Ok(Section { title: format!("an ESP, {guest}"), comparisons })
}

fn output(report: &Report) -> Result<String> {
    let output = report.script_output()?;
    ensure!(report.script_status()? == 0, "{output}");
    Ok(output)
}

fn time(output: &str, what: &str) -> Result<f64> {
    let times = output.lines().filter_map(|line| line.strip_prefix(what)?.trim().parse().ok());
    let times: Vec<Duration> = times.map(Duration::from_micros).collect();
    ensure!(times.len() == RUNS, "{} runs of {what}: {output}", times.len());
    median(times).with_context(|| what.to_owned())
}
