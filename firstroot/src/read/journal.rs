//! What the last finalization did, from the journal: firstroot writes nothing about it to the disk.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use system::program::{End, Program};

const PROGRAM: &str = "/usr/bin/journalctl";
/// A journal on a slow disk is not waited for.
const LIMIT: Duration = Duration::from_secs(5);
/// More lines than a run writes.
const LINES: &str = "--lines=60";

/// What firstroot and libostree write in this unit. The identifier is set by the unit; it was the program's name before. systemd's own
/// lines about the unit, and those of other programs in it, have other ones.
const SELECTION: [&str; 3] =
    ["--unit=ostree-finalize-staged.service", "--identifier=ostree", "--identifier=ostree-finalize-staged"];
/// The process that is systemd.
const MANAGER: &str = "1";

/// A part of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Phase {
    /// Its name.
    pub(crate) name: String,
    /// Its time, in tenths of a millisecond.
    pub(crate) tenths_of_ms: u64,
}

/// The last finalization that the journal knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LastFinalization {
    /// When it ended: seconds since 1970.
    pub(crate) time: u64,
    /// The deployment that it made boot next; `None`: it failed.
    pub(crate) deployment: Option<String>,
    /// Its whole time, in tenths of a millisecond.
    pub(crate) tenths_of_ms: Option<u64>,
    /// The times of its parts.
    pub(crate) phases: Vec<Phase>,
    /// Its warnings.
    pub(crate) warnings: Vec<String>,
    /// Its errors.
    pub(crate) errors: Vec<String>,
}

/// A message of the journal, as far as it is used.
#[derive(Debug, Default, Deserialize)]
struct Message {
    #[serde(rename = "MESSAGE", default)]
    text: Value,
    #[serde(rename = "PRIORITY", default)]
    priority: String,
    #[serde(rename = "_PID", default)]
    process: String,
    #[serde(rename = "_BOOT_ID", default)]
    boot: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    time: String,
}

/// Asks the journal.
///
/// # Errors
/// It cannot be asked, for this reason.
pub(crate) fn last_finalization() -> Result<Option<LastFinalization>, String> {
    let words =
        [PROGRAM, "--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,PRIORITY,_PID,_BOOT_ID", LINES];
    let words: Vec<&[u8]> = words.iter().chain(&SELECTION).map(|word| word.as_bytes()).collect();
    let program = Program::new(&words, &[b"LC_ALL=C", b"PATH=/usr/bin:/bin"]).map_err(|error| error.to_string())?;
    let ended = program.run(LIMIT, &mut || ()).map_err(|error| format!("cannot execute {PROGRAM}: {error}"))?;
    match ended.end {
        End::Status(0) => Ok(parse(&String::from_utf8_lossy(&ended.output))),
        // journalctl says so when nothing matches.
        End::Status(1) if ended.output.is_empty() => Ok(None),
        End::TooLong => Err(format!("{PROGRAM} takes longer than {} s", LIMIT.as_secs())),
        _ => Err(format!("{PROGRAM} failed: {}", String::from_utf8_lossy(&ended.output).trim())),
    }
}

/// The last run in these lines, each of them an object. What is no message is passed over.
pub(crate) fn parse(lines: &str) -> Option<LastFinalization> {
    let messages = lines.lines().filter_map(|line| serde_json::from_str(line).ok());
    let messages: Vec<Message> = messages.filter(|message: &Message| !message.text.is_null()).collect();
    let is_end = |message: &&Message| {
        let text = text_of(message);
        message.process != MANAGER
            && (text.starts_with("finalized /") || text.starts_with("error: "))
            && !text.starts_with("finalized /boot")
    };
    let last = messages.iter().rev().find(is_end)?;
    let same_run = messages.iter().filter(|message| message.process == last.process && message.boot == last.boot);
    let mut found = LastFinalization {
        time: last.time.parse::<u64>().unwrap_or_default() / 1_000_000,
        deployment: None,
        tenths_of_ms: None,
        phases: Vec::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    for message in same_run {
        let text = text_of(message);
        match message.priority.as_str() {
            // libostree's program gives no priorities.
            _ if text.starts_with("error: ") => found.errors.push(text.trim_start_matches("error: ").to_owned()),
            "0" | "1" | "2" | "3" => found.errors.push(text.trim_start_matches("error: ").to_owned()),
            "4" => found.warnings.push(text),
            _ => found.summary(&text),
        }
    }
    Some(found)
}

/// A text with bytes that are not UTF-8, or no printable characters, is an array of bytes.
fn text_of(message: &Message) -> String {
    match &message.text {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        }
        _ => String::new(),
    }
}

impl LastFinalization {
    /// Reads `finalized /DEPLOYMENT in 12.3 ms: lock 0.1 ms, plan 5.0 ms`.
    fn summary(&mut self, text: &str) {
        let Some((deployment, times)) = text.strip_prefix("finalized ").and_then(|rest| rest.split_once(" in ")) else {
            return;
        };
        let Some((whole, phases)) = times.split_once(": ") else { return };
        self.deployment = Some(deployment.to_owned());
        self.tenths_of_ms = tenths(whole);
        let phase = |text: &str| {
            let (name, time) = text.strip_suffix(" ms")?.rsplit_once(' ')?;
            Some(Phase { name: name.to_owned(), tenths_of_ms: tenths(&format!("{time} ms"))? })
        };
        self.phases = phases.split(", ").filter_map(phase).collect();
    }
}

/// `12.3 ms`.
fn tenths(text: &str) -> Option<u64> {
    let (whole, tenth) = text.strip_suffix(" ms")?.split_once('.')?;
    whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_is_found_with_its_warnings() {
        let line = |boot: u32, priority: u32, text: &str| {
            format!(
                "{{\"_BOOT_ID\":\"{boot}\",\"_PID\":\"7\",\"PRIORITY\":\"{priority}\",\"MESSAGE\":\"{text}\",\"__REALTIME_TIMESTAMP\":\"1700000000000000\"}}\n"
            )
        };
        let lines = [
            line(1, 4, "old warning"),
            line(1, 6, "finalized /ostree/deploy/os/deploy/a.0 in 1.0 ms: lock 0.1 ms"),
            line(2, 4, "GRUB's menu is the old one"),
            line(2, 6, "finalized /ostree/deploy/os/deploy/b.0 in 616.3 ms: lock 0.1 ms, swap and sync 12.0 ms"),
            "no json\n{\"MESSAGE\":[255]}\n".to_owned(),
        ];
        let found = parse(&lines.concat()).unwrap();
        assert_eq!(found.deployment.as_deref(), Some("/ostree/deploy/os/deploy/b.0"));
        assert_eq!((found.time, found.tenths_of_ms), (1_700_000_000, Some(6163)));
        assert_eq!(found.warnings, ["GRUB's menu is the old one"]);
        let phases: Vec<_> = found.phases.iter().map(|phase| (phase.name.as_str(), phase.tenths_of_ms)).collect();
        assert_eq!(phases, [("lock", 1), ("swap and sync", 120)]);
        let failed = parse(&line(3, 3, "error: /boot is full")).unwrap();
        assert_eq!((failed.deployment, failed.errors), (None, vec!["/boot is full".to_owned()]));
        let of_libostree = parse(&line(3, 6, "error: /boot is full")).unwrap();
        assert_eq!(of_libostree.errors, ["/boot is full"]);
        assert_eq!(parse("nothing"), None);
        let bytes = line(5, 3, "X").replace("\"X\"", "[101,114,114,111,114,58,32,255,120]");
        assert_eq!(parse(&bytes).unwrap().errors, ["\u{fffd}x"]);
        let of_systemd = line(4, 3, "error: ostree-finalize-staged.service failed").replace("\"7\"", "\"1\"");
        let after = parse(&(lines.concat() + &of_systemd)).unwrap();
        assert_eq!((after.deployment, after.errors.len()), (found.deployment, 0));
    }

    #[test]
    fn the_journal_is_asked_for_the_unit_and_the_identifier_that_it_sets() {
        let unit = include_str!("../../../units/ostree-finalize-staged.service.d/00-firstroot.conf");
        let identifier = unit.lines().find_map(|line| line.strip_prefix("SyslogIdentifier=")).unwrap();
        assert!(SELECTION.contains(&format!("--identifier={identifier}").as_str()), "{identifier}");
        assert!(SELECTION.contains(&"--unit=ostree-finalize-staged.service"));
    }
}
