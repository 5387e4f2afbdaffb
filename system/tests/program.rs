//! In a process of its own: all of its children are killed.

use std::io::Result;
use std::time::{Duration, Instant};

use system::program::{End, Ended, Program};

fn shell(script: &str, milliseconds: u64) -> Result<Ended> {
    let program = Program::new(&[b"/bin/sh", b"-c", script.as_bytes()], &[b"PATH=/usr/bin:/bin", b"WORD=x y"])?;
    let begin = Instant::now();
    let ended = program.run(Duration::from_millis(milliseconds), &mut || {})?;
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
    let ended = shell("echo out; echo $WORD >&2; exit 3", 60_000)?;
    assert_eq!(ended, Ended { end: End::Status(3), output: b"out\nx y\n".to_vec(), is_shortened: false });
    // A child holds the pipe, and another one has left the group.
    let mark = format!("{}.5", 1_000_000 + std::process::id());
    let ended = shell(&format!("sleep {mark} & setsid sleep {mark} & exit 0"), 60_000)?;
    assert_eq!(ended.end, End::Status(0));
    assert!(!is_running(&mark)?);
    let grandchild = format!("setsid sh -c 'setsid sleep {mark} & wait' & sleep {mark}");
    assert_eq!(shell(&grandchild, 500)?.end, End::TooLong);
    assert!(!is_running(&mark)?);
    assert_eq!(shell("kill -9 $$", 60_000)?.end, End::Signal(9));
    let missing = Program::new(&[b"/no/such/program"], &[])?.run(Duration::from_secs(60), &mut || {})?;
    assert_eq!((missing.end, missing.output.as_slice()), (End::Status(127), &b"it cannot be executed\n"[..]));
    assert!(Program::new(&[b"/bin/a\0b"], &[]).is_err() && Program::new(&[], &[]).is_err());
    // Of a flood the end is kept.
    let flood = shell("yes | head -c 1000000; echo end", 60_000)?;
    assert!(flood.is_shortened && flood.output.len() <= 8192 && flood.output.ends_with(b"end\n"));
    assert_eq!(shell("exec yes", 200)?.end, End::TooLong);
    Ok(())
}
