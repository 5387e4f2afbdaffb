//! Time from exec to exit.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::contestant::Contestant;
use super::stage::Stage;

/// Runs that are not counted: they fill the caches.
const WARM_UP: usize = 10;
/// Runs that are.
const RUNS: usize = 101;

/// Medians in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Of [`Contestant::Ours`].
    pub(crate) ours: f64,
    /// Of [`Contestant::Peer`].
    pub(crate) peer: f64,
    /// Of [`Contestant::Floor`].
    pub(crate) floor: f64,
}

/// All programs in turn, again and again, so that what else the machine does hits each of them.
pub(crate) fn medians(stage: &Stage) -> Result<Times> {
    let (mut ours, mut peer, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..WARM_UP + RUNS {
        let times = [once(stage, Contestant::Ours)?, once(stage, Contestant::Peer)?, once(stage, Contestant::Floor)?];
        if run >= WARM_UP {
            for (all, time) in [&mut ours, &mut peer, &mut floor].into_iter().zip(times) {
                all.push(time);
            }
        }
    }
    Ok(Times { ours: median(ours)?, peer: median(peer)?, floor: median(floor)? })
}

/// A fresh sysroot first, which does not count.
fn once(stage: &Stage, contestant: Contestant) -> Result<Duration> {
    let _journal = stage.start_over()?;
    let mut command = stage.command(contestant)?;
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("running {contestant:?}"))?;
    let time = begin.elapsed();
    ensure!(status.success(), "{contestant:?} ended with {status}");
    Ok(time)
}

/// In seconds.
pub(crate) fn median(mut times: Vec<Duration>) -> Result<f64> {
    times.sort_unstable();
    times.get(times.len() / 2).map(Duration::as_secs_f64).context("nothing was measured")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_what_stands_out() {
        assert_eq!(median([1, 900, 3].map(Duration::from_secs).to_vec()).unwrap(), 3.0);
    }
}
