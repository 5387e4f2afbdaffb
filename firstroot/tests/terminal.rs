//! The program on a terminal has colours and the terminal's width; in a pipe it has neither.

#![allow(clippy::unwrap_used, reason = "tests may fail at any line")]

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use disk_text::Disk;
use nix::pty::{Winsize, openpty};
use tempfile::TempDir;

const WIDEST: usize = 200;

fn disk() -> TempDir {
    Disk::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"), "two-deployments").make()
}

fn status(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firstroot"));
    command.args(["status", "--root"]).arg(root).env_remove("NO_COLOR").env("TERM", "xterm");
    command
}

/// What it writes to a terminal of so many columns.
fn on_terminal(columns: u16, mut command: Command) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let mut child = command.stdout(Stdio::from(terminal.slave)).spawn().unwrap();
    // It has the other end of the terminal open until then.
    drop(command);
    let (mut screen, mut written) = (File::from(terminal.master), Vec::new());
    let mut piece = [0; 4096];
    // A terminal that no process has open any more is read with EIO.
    while let Ok(count) = screen.read(&mut piece)
        && count > 0
    {
        written.extend_from_slice(piece.get(..count).unwrap());
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8(written).unwrap().replace("\r\n", "\n")
}

/// Without colours, and with how many of them there were.
fn plain(text: &str) -> (String, usize) {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    let rest: Vec<&str> = parts.map(|part| part.split_once('m').unwrap().1).collect();
    (first + &rest.concat(), rest.len())
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn a_terminal_has_colours_and_a_width() {
    let root = disk();
    let (wide, colours) = plain(&on_terminal(u16::try_from(WIDEST).unwrap(), status(root.path())));
    assert!(colours > 4 && widest(&wide) <= WIDEST, "{wide}");
    // Nothing is lost, and only words that are longer than a line stick out.
    for (columns, most) in [(60, 60), (100, 100), (0, 80), (5, 40)] {
        let (text, _) = plain(&on_terminal(columns, status(root.path())));
        assert_eq!(words(&text), words(&wide), "{columns}");
        let is_narrow = |line: &str| line.chars().count() <= most || line.split_whitespace().count() == 1;
        assert!(text.lines().all(is_narrow), "{columns}: {text}");
        assert!(text.lines().count() > wide.lines().count(), "{columns}");
    }
}

#[test]
fn colours_can_be_switched_off() {
    let root = disk();
    for (name, value, is_coloured) in
        [("NO_COLOR", "1", false), ("TERM", "dumb", false), ("NO_COLOR", "", true), ("TERM", "linux", true)]
    {
        let mut command = status(root.path());
        command.env(name, value);
        assert_eq!(on_terminal(60, command).contains('\x1b'), is_coloured, "{name}={value}");
    }
    let mut command = status(root.path());
    command.env_remove("TERM");
    assert!(!on_terminal(60, command).contains('\x1b'));
}

#[test]
fn a_pipe_gets_whole_lines_and_json_has_no_colours() {
    let root = disk();
    let output = status(root.path()).output().unwrap();
    let piped = String::from_utf8(output.stdout).unwrap();
    assert!(!piped.contains('\x1b') && widest(&piped) > 120, "{piped}");
    let (wide, _) = plain(&on_terminal(u16::MAX, status(root.path())));
    assert_eq!(piped, wide);
    let mut command = status(root.path());
    command.arg("--json");
    assert!(!on_terminal(60, command).contains("\x1b["));
}
