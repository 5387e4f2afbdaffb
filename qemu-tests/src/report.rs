//! What a machine told about itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::journal::JournalEntry;
use crate::mounts::MountTable;

/// The facts of one boot. Where a machine did not come up, all but the console is empty.
#[derive(Clone, Debug)]
pub struct Report {
    facts: PathBuf,
    console: PathBuf,
    seconds: Duration,
}

impl Report {
    pub(crate) fn new(facts: PathBuf, console: PathBuf, seconds: Duration) -> Report {
        Report { facts, console, seconds }
    }

    /// How long the machine was on.
    pub fn duration(&self) -> Duration {
        self.seconds
    }

    /// The file with everything that was written to the serial console.
    pub fn console_log(&self) -> &Path {
        &self.console
    }

    /// The serial console, without carriage returns.
    pub fn console(&self) -> Result<String> {
        let bytes = fs::read(&self.console).with_context(|| format!("reading {}", self.console.display()))?;
        Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
    }

    /// Whether the guest's agent has reported.
    pub fn came_up(&self) -> bool {
        self.facts.join("mountinfo").exists()
    }

    /// The mounts as the agent saw them before it ran the test's script.
    pub fn mount_table(&self) -> Result<MountTable> {
        Ok(MountTable::parse(&self.bytes("mountinfo")?))
    }

    /// The mounts after the test's script.
    pub fn mount_table_after(&self) -> Result<MountTable> {
        Ok(MountTable::parse(&self.bytes("mountinfo-after")?))
    }

    /// `/run/ostree-booted`.
    pub fn booted_state(&self) -> Result<Vec<u8>> {
        self.bytes("ostree-booted")
    }

    /// `ostree admin status`.
    pub fn admin_status(&self) -> Result<String> {
        self.text("admin-status")
    }

    /// `ls -laR /run/ostree`.
    pub fn run_ostree(&self) -> Result<String> {
        self.text("run-ostree")
    }

    /// A file of `/run/ostree`, if it is there.
    pub fn run_ostree_file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.facts.join("run-ostree-files").join(name)).ok()
    }

    /// What the test's script wrote, both outputs.
    pub fn script_output(&self) -> Result<String> {
        self.text("script-output")
    }

    /// The exit status of the test's script.
    pub fn script_status(&self) -> Result<i32> {
        self.text("script-status")?.trim().parse().context("the script's exit status")
    }

    /// Units that failed, a line each.
    pub fn failed_units(&self) -> Result<String> {
        self.text("failed-units")
    }

    /// What `systemctl is-system-running` says: `running`, or `degraded` when a unit has failed.
    pub fn system_state(&self) -> Result<String> {
        Ok(self.text("system-state")?.trim().to_owned())
    }

    /// The whole journal.
    pub fn journal(&self) -> Result<Vec<JournalEntry>> {
        Ok(JournalEntry::parse_export(&self.bytes("journal.export")?))
    }

    /// The journal's entries that have this `MESSAGE_ID`.
    pub fn journal_entries(&self, message_id: &str) -> Result<Vec<JournalEntry>> {
        Ok(self.journal()?.into_iter().filter(|entry| entry.field("MESSAGE_ID") == Some(message_id)).collect())
    }

    /// `/proc/cmdline`.
    pub fn kernel_command_line(&self) -> Result<String> {
        self.text("cmdline")
    }

    /// `systemd-analyze`.
    pub fn timings(&self) -> Result<String> {
        self.text("systemd-analyze")
    }

    /// A fact by the name of its file.
    pub fn text(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(name)?).into_owned())
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.facts.join(name);
        fs::read(&path)
            .with_context(|| format!("the machine did not report {name:?}; its console: {}", self.console.display()))
    }
}
