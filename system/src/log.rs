//! A sink for the `log` crate.
//!
//! Under systemd standard error goes to the journal, which takes a `<N>` before a line for its priority (sd-daemon(3)).
//! Elsewhere standard error is the console, and the kernel log gets a copy, so that `dmesg` has it later.
//!
//! A program of the initramfs writes to the console itself if its standard error is the journal. systemd's `journal+console` puts the
//! name and the number of the process before each line, so that no line of 80 columns fits.
//!
//! A message is one [`printable`] line, even if a name in it has a line feed. Only messages with the targets [`SCREEN`] and
//! [`RECORD`] have several lines.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rustix::fs::{Mode, OFlags};

use crate::dir::write_all;
use crate::printable::{printable, printable_lines};

/// The target of a message of several lines for the person at the console, and nobody else.
pub const SCREEN: &str = "screen";
/// The target of a message of several lines for the journal, or for the kernel log if standard error is not the journal.
pub const RECORD: &str = "record";

/// Where standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// To the journal.
    Journal,
    /// To a console.
    Console,
}

impl Stderr {
    /// systemd passes device and inode of the journal's file to its services (systemd.exec(5), `$JOURNAL_STREAM`). A child of a
    /// service may have the variable and another standard error.
    pub fn of_this_process() -> Self {
        let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return Self::Console };
        // Fails only if standard error is closed.
        let is_stderr = rustix::fs::fstat(rustix::stdio::stderr())
            .is_ok_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        if is_stderr { Self::Journal } else { Self::Console }
    }
}

/// Where messages go.
#[derive(Debug)]
pub struct Sink {
    program: &'static str,
    stderr: Stderr,
    /// Whether somebody reads standard error, so that the copy in the kernel log must not appear a second time.
    is_read: bool,
    /// Opened when there is something to say.
    kernel_log: OnceLock<Option<OwnedFd>>,
    /// The console, if standard error is the journal.
    console: OnceLock<Option<OwnedFd>>,
    /// How many warnings were logged.
    warnings: AtomicUsize,
}

/// Where one message goes.
struct Places {
    stderr: bool,
    console: bool,
    kernel_log: bool,
}

impl Sink {
    /// `program` is the prefix of every message, if it is not empty; `kernel_log` is a `/dev/kmsg` open for writing; under the journal it is not needed.
    pub fn new(program: &'static str, stderr: Stderr, kernel_log: Option<OwnedFd>) -> Self {
        let (kernel_log, console) = (OnceLock::from(kernel_log), OnceLock::from(None));
        Self { program, stderr, is_read: true, kernel_log, console, warnings: AtomicUsize::new(0) }
    }

    /// For a process other than PID 1: the kernel log gets a copy if standard error is a console.
    pub fn of_this_process(program: &'static str) -> Self {
        Self { console: OnceLock::from(None), ..Self::of_initramfs(program) }
    }

    /// For a generator of units: its standard error leads nowhere, and the journal does not run yet, but reads the kernel log later.
    pub fn of_a_generator(program: &'static str) -> Self {
        let (kernel_log, console) = (OnceLock::new(), OnceLock::from(None));
        Self { program, stderr: Stderr::Console, is_read: false, kernel_log, console, warnings: AtomicUsize::new(0) }
    }

    /// For a process of an initramfs, other than PID 1: if standard error is a console, the kernel log gets a copy; if it is the
    /// journal, the console gets one.
    pub fn of_initramfs(program: &'static str) -> Self {
        let stderr = Stderr::of_this_process();
        let (kernel_log, console) = (OnceLock::new(), OnceLock::new());
        Self { program, stderr, is_read: true, kernel_log, console, warnings: AtomicUsize::new(0) }
    }

    /// Opens `path` for a copy, so an error does not matter.
    fn copy<'a>(&self, place: &'a OnceLock<Option<OwnedFd>>, path: &str, of: Stderr) -> Option<&'a OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = || (self.stderr == of).then(|| rustix::fs::open(path, flags, Mode::empty()).ok());
        place.get_or_init(|| open().flatten()).as_ref()
    }

    /// Sends everything that is logged from now on here. A second call changes nothing: the first sink stays.
    pub fn install(self) {
        let sink = SINK.get_or_init(|| self);
        if log::set_logger(sink).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    }

    fn places(&self, target: &str) -> Places {
        let is_console = self.stderr == Stderr::Console;
        match target {
            SCREEN => Places { stderr: is_console, console: true, kernel_log: false },
            RECORD => Places { stderr: !is_console, console: false, kernel_log: true },
            _ => Places { stderr: true, console: true, kernel_log: true },
        }
    }

    /// Writes a text of several lines in one piece.
    fn block(&self, level: Level, text: &str, places: &Places) {
        let of_line = match self.stderr {
            Stderr::Journal => prefix(level),
            Stderr::Console => "",
        };
        let whole: String = text.lines().flat_map(|line| [of_line, line, "\n"]).collect();
        crate::entry::survive_broken_pipes();
        if places.stderr {
            // If standard error is closed, this cannot be reported.
            let _ = write_all(rustix::stdio::stderr(), whole.as_bytes());
        }
        if places.console
            && let Some(console) = self.copy(&self.console, "/dev/console", Stderr::Journal)
        {
            let _ = write_all(console, format!("{}\n", text.trim_end()).as_bytes());
        }
        if !places.kernel_log {
            return;
        }
        for record in records(text) {
            // One write is one record. An error does not stop the next one. If the text is already on the console, the priority is
            // "debug", so that it does not appear twice.
            let priority = if self.is_read { "<7>" } else { prefix(level) };
            let kmsg = self.copy(&self.kernel_log, "/dev/kmsg", Stderr::Console);
            let _ = kmsg.map(|kmsg| write_all(kmsg, [priority, &record].concat().as_bytes()));
        }
    }
}

/// Writes a message of level "info" to the kernel's log, and to nothing else. For what a journal would have. An error does not matter.
pub fn note_in_kernel_log(program: &str, text: &str) {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(kmsg) = rustix::fs::open("/dev/kmsg", flags, Mode::empty()) {
        let _ = write_all(&kmsg, format!("<6>{program}: {}", printable(text)).as_bytes());
    }
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// How many warnings this process has logged.
pub fn warnings() -> usize {
    SINK.get().map_or(0, |sink| sink.warnings.load(Ordering::Relaxed))
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() == Level::Warn {
            self.warnings.fetch_add(1, Ordering::Relaxed);
        }
        self.block(record.level(), &message(self.program, record), &self.places(record.target()));
    }

    fn flush(&self) {}
}

/// The text of a record.
fn message(program: &str, record: &Record<'_>) -> String {
    let colon = if program.is_empty() { "" } else { ": " };
    let text = format!("{program}{colon}{}", record.args());
    let shown =
        if [SCREEN, RECORD].contains(&record.target()) { printable_lines(&text) } else { printable(text.trim_end()) };
    shown.into_owned()
}

fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// A line in pieces of at most `longest` bytes, each of whole characters.
fn pieces(mut line: &str, longest: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while line.len() > longest {
        let end = (0..=longest).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(longest);
        let Some((piece, rest)) = line.split_at_checked(end) else { break };
        pieces.push(piece);
        line = rest;
    }
    pieces.push(line);
    pieces
}

/// Pieces of whole lines that fit into one record. The kernel cuts a record at about 1,000 bytes and accepts ten of them in five
/// seconds, so with one record per line most of a report would be lost.
fn records(text: &str) -> Vec<String> {
    const LONGEST: usize = 900;
    let mut records: Vec<String> = Vec::new();
    for line in text.lines().flat_map(|line| pieces(line, LONGEST)) {
        match records.last_mut() {
            Some(last) if last.len() + line.len() < LONGEST => {
                last.push('\n');
                last.push_str(line);
            }
            _ => records.push(line.to_owned()),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::{RECORD, SCREEN, message, records};
    use log::Record;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let name = "x\n<3>forged\x1b[2J\u{202e}";
        let shown = message("p", &Record::builder().args(format_args!("cannot open {name}: no")).build());
        assert_eq!(shown, r"p: cannot open x\n<3>forged\u{1b}[2J\u{202e}: no");
        for target in [SCREEN, RECORD] {
            let lines = message("p", &Record::builder().target(target).args(format_args!("one\n  two\x1b\n")).build());
            assert_eq!(lines, "p: one\n  two\\u{1b}\n");
        }
    }

    #[test]
    fn a_line_that_is_too_long_for_a_record_is_cut_and_not_lost() {
        let line = "ostree=/".to_owned() + &"ü".repeat(2000);
        let records = records(&line);
        assert!(records.iter().all(|record| record.len() <= 900));
        assert_eq!(records.concat(), line);
    }

    #[test]
    fn a_report_fits_into_few_records_and_loses_no_line() {
        let text: String = (0..80).map(|n| format!("line {n} {}\n", "x".repeat(40))).collect();
        let records = records(&text);
        assert!(records.len() <= 6 && records.iter().all(|r| r.len() <= 900), "{}", records.len());
        assert_eq!(records.join("\n").lines().count(), 80);
    }
}
