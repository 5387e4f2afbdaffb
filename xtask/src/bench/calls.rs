//! How many system calls a program makes, its `execve` included.

use anyhow::{Context, Result, ensure};

use super::contestant::Contestant;
use super::stage::Stage;

const TRACE: &str = "/trace";

/// The lines of strace, of all processes.
pub(crate) fn count(stage: &Stage, contestant: Contestant) -> Result<f64> {
    let _journal = stage.start_over()?;
    let mut strace = stage.initramfs.host_program("strace");
    // The environment decides where the dynamic loader looks.
    strace.env_clear();
    stage.as_by_a_unit(&mut strace)?;
    strace.args(["-f", "-qq", "-e", "signal=none", "-o", TRACE]).args(stage.words(contestant));
    let output = strace.output().context("running strace")?;
    ensure!(output.status.success(), "{contestant:?}: {}", String::from_utf8_lossy(&output.stderr));
    let trace = stage.initramfs.read(TRACE)?;
    // The second half of a call that another process interrupted is no call.
    Ok(trace.lines().filter(|line| !line.contains(" resumed>")).count() as f64)
}
