//! In a process of its own: all of its children are killed.

use std::io::Result;
use std::process::Command;
use std::time::{Duration, Instant};

use system::program::{Ended, run};

fn shell(script: &str, milliseconds: u64) -> Result<Ended> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    let begin = Instant::now();
    let ended = run(command, Duration::from_millis(milliseconds))?;
    assert!(begin.elapsed() < Duration::from_secs(20));
    Ok(ended)
}

/// Whether a process has this in its command line.
fn is_running(mark: &str) -> Result<bool> {
    let command_line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let mut all = std::fs::read_dir("/proc")?.flatten().map(command_line);
    Ok(all.any(|line| line.windows(mark.len()).any(|window| window == mark.as_bytes())))
}

#[test]
fn a_program_ends_with_all_that_it_has_started() -> Result<()> {
    let ended = shell("echo out; echo err >&2; exit 3", 60_000)?;
    assert_eq!((ended.status.and_then(|status| status.code()), ended.output), (Some(3), b"out\nerr\n".to_vec()));
    // A child holds the pipe, and another one has left the group.
    let mark = format!("{}.5", 1_000_000 + std::process::id());
    let ended = shell(&format!("sleep {mark} & setsid sleep {mark} & exit 0"), 60_000)?;
    assert!(ended.status.is_some_and(|status| status.success()));
    assert!(!is_running(&mark)?);
    let grandchild = format!("setsid sh -c 'setsid sleep {mark} & wait' & sleep {mark}");
    assert!(shell(&grandchild, 500)?.status.is_none());
    assert!(!is_running(&mark)?);
    assert!(shell("kill -9 $$", 60_000)?.status.is_some_and(|status| status.code().is_none()));
    assert!(run(Command::new("/no/such/program"), Duration::from_secs(1)).is_err());
    // Of a flood the end is kept.
    let flood = shell("yes | head -c 1000000; echo end", 60_000)?;
    assert!(flood.is_shortened && flood.output.len() <= 8192 && flood.output.ends_with(b"end\n"));
    assert!(shell("exec yes", 200)?.status.is_none());
    Ok(())
}
