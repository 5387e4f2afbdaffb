//! How long the real root of a whole machine takes until its local filesystems are there: generators, mounts, remounts.

use std::time::Duration;

use anyhow::{Context, Result};
use qemu_tests::guest::Guest;
use qemu_tests::package::Provider;
use qemu_tests::scenario::Scenario;

use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

/// Each is one boot.
const RUNS: usize = 5;

/// The first is when systemd began to work in the real root.
const TIMES: &str = "
systemctl show --property=UserspaceTimestampMonotonic --value
systemctl show --property=GeneratorsFinishTimestampMonotonic --value
systemctl show --property=ActiveEnterTimestampMonotonic --value local-fs.target
";

/// One boot.
struct Boot {
    /// From the switch to the real root until generators have run.
    generators: Duration,
    /// Until `local-fs.target`.
    whole: Duration,
}

/// Ours beside the peer's.
pub(crate) fn figures(guest: Guest) -> Result<Section> {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(boot(guest, Provider::Ours).context("firstroot")?);
        peer.push(boot(guest, Provider::Peer).context("libostree")?);
    }
    let comparison = |what: &str, figure: fn(&Boot) -> Duration| -> Result<Comparison> {
        let of = |runs: &[Boot]| median(runs.iter().map(figure).collect());
        let goal = Goal::Note(String::new());
        Ok(Comparison { what: what.to_owned(), unit: Unit::Seconds, ours: of(&ours)?, peer: of(&peer)?, goal })
    };
    let comparisons = vec![
        comparison("from the switch to the real root until local-fs.target", |boot| boot.whole)?,
        comparison("  of that: until generators have run", |boot| boot.generators)?,
    ];
    Ok(Section { title: format!("boot of the real root, {guest}, emulated"), comparisons })
}

fn boot(guest: Guest, provider: Provider) -> Result<Boot> {
    let scenario = Scenario::new("time-of-boot").on(guest).deployed_with(provider).booted_by(provider);
    times(&scenario.run_script(TIMES)?.script_output()?)
}

fn times(output: &str) -> Result<Boot> {
    let numbers: Result<Vec<u64>, _> = output.split_whitespace().map(str::parse).collect();
    let numbers = numbers.with_context(|| output.to_owned())?;
    let [begin, generators, local] = numbers.as_slice() else { anyhow::bail!("three times: {output}") };
    let since = |time: &u64| Duration::from_micros(time.saturating_sub(*begin));
    Ok(Boot { generators: since(generators), whole: since(local) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_the_switch() {
        let boot = times("1000\n1500\n3000\n").unwrap();
        assert_eq!((boot.generators.as_micros(), boot.whole.as_micros()), (500, 2000));
        assert!(times("1000\n[not set]\n3000\n").is_err());
    }
}
