//! In a process of its own: all of its children are killed.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use system::program::{End, Ended, Program};

fn shell(script: &str, milliseconds: u64) -> Result<Ended, Errno> {
    let begin = Instant::now();
    let program = Program::new(&[b"/bin/sh", b"-c", script.as_bytes()], &[b"PATH=/usr/bin:/bin"])?;
    let ended = program.run_and_kill_descendants(Duration::from_millis(milliseconds), &mut || {})?;
    assert!(begin.elapsed() < Duration::from_secs(20));
    Ok(ended)
}

/// Whether a process has this in its command line.
fn is_running(mark: &str) -> bool {
    let command_line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let mut all = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(command_line);
    all.any(|line| line.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

#[test]
fn a_program_ends_with_all_that_it_has_started() -> Result<(), Errno> {
    let ended = shell("echo out; echo err >&2; exit 3", 60_000)?;
    assert_eq!(ended, Ended { end: End::Status(3), output: b"out\nerr\n".to_vec() });
    // A child holds the pipe, and another one has left the group.
    let mark = format!("{}.5", 1_000_000 + std::process::id());
    assert!(!is_running(&mark));
    assert_eq!(shell(&format!("sleep {mark} & setsid sleep {mark} & exit 0"), 60_000)?.end, End::Status(0));
    assert!(!is_running(&mark));
    let grandchild = format!("setsid sh -c 'setsid sleep {mark} & wait' & sleep {mark}");
    assert_eq!(shell(&grandchild, 500)?.end, End::TooLong);
    assert!(!is_running(&mark));
    // Of a flood the end is kept.
    let flood = shell("yes | head -c 1000000; echo end", 60_000)?;
    assert!(flood.output.len() <= 32 << 10 && flood.output.ends_with(b"end\n"));
    assert_eq!(shell("exec yes", 200)?.end, End::TooLong);
    progress_is_told_while_it_runs()
}

/// The program waits for what is done when progress is told.
fn progress_is_told_while_it_runs() -> Result<(), Errno> {
    let path = std::env::temp_dir().join(format!("progress-{}", std::process::id()));
    let script = format!("until [ -e '{}' ]; do sleep 0.1; done", path.display());
    let program = Program::new(&[b"/bin/sh", b"-c", script.as_bytes()], &[b"PATH=/usr/bin:/bin"])?;
    let ended = program.run_and_kill_descendants(Duration::from_secs(600), &mut || {
        assert!(std::fs::write(&path, "").is_ok());
    })?;
    assert!(ended.end == End::Status(0) && std::fs::remove_file(&path).is_ok(), "{ended:?}");
    Ok(())
}
