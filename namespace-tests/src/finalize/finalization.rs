//! A finalization, as the service does it: by ours or by the peer.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::journal::JournalMessage;
use super::machine::Machine;
use crate::initramfs::Outcome;

/// Who finalizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// The static binary that `FIRSTROOT_FINALIZE_STAGED` names.
    Ours,
    /// The one that `FIRSTROOT_FINALIZE_SABOTAGED` names, which leaves out or breaks what it is told to.
    Sabotaged(&'static str),
    /// `ostree admin finalize-staged` of the guest.
    Peer,
}

impl Contestant {
    fn program(self) -> &'static str {
        match self {
            Contestant::Ours | Contestant::Sabotaged(_) => "/usr/lib/firstroot/ostree-finalize-staged",
            Contestant::Peer => "ostree admin finalize-staged",
        }
    }

    /// Whether there is one: ours has to be built before.
    pub fn is_there(self) -> bool {
        self == Contestant::Peer || self.binary().is_some()
    }

    /// The static binary that is put into the guest.
    pub(super) fn binary(self) -> Option<PathBuf> {
        let variable = match self {
            Contestant::Sabotaged(_) => "FIRSTROOT_FINALIZE_SABOTAGED",
            _ => "FIRSTROOT_FINALIZE_STAGED",
        };
        std::env::var_os(variable).map(PathBuf::from)
    }
}

/// As the unit has it.
const READ_ONLY_ETC: &str = "set -e\nmount --bind /etc /etc\nmount -o remount,bind,ro /etc\n";

/// How a finalization ended.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// Of the program.
    pub outcome: Outcome,
    /// What it told the journal, in order.
    pub journal: Vec<JournalMessage>,
}

impl Machine {
    /// Finalizes as the service does: with its environment, and `/etc` read-only.
    pub fn finalize(&self, contestant: Contestant) -> Result<Finalized> {
        self.finalizing(contestant, &[], "", &[])
    }

    /// The same, with arguments.
    pub fn finalize_with(&self, contestant: Contestant, strace: &[&str], arguments: &[&str]) -> Result<Finalized> {
        self.finalizing(contestant, &[], &under_strace(strace), arguments)
    }

    /// The same, with variables in the environment (`NAME=VALUE`).
    pub fn finalize_in(&self, contestant: Contestant, environment: &[String]) -> Result<Finalized> {
        self.finalizing(contestant, environment, "", &[])
    }

    /// Finalizes under the host's strace with these options, in which `inject=` can make any system call fail or kill.
    pub fn strace(&self, contestant: Contestant, options: &[&str]) -> Result<Finalized> {
        self.finalizing(contestant, &[], &under_strace(options), &[])
    }

    /// Finalizes by way of `starter`, a command of the booted system, as the shell reads it, that takes the program and its
    /// arguments as its last ones.
    pub fn finalize_under(&self, contestant: Contestant, starter: &str) -> Result<Finalized> {
        self.finalizing(contestant, &[], starter, &[])
    }

    fn finalizing(
        &self,
        contestant: Contestant,
        environment: &[String],
        starter: &str,
        arguments: &[&str],
    ) -> Result<Finalized> {
        let command = self.command(contestant, environment, starter, arguments)?;
        self.run_program(contestant, &format!("{READ_ONLY_ETC}exec {command}"))
    }

    /// Finalizes, with shell commands before and after.
    pub fn finalize_between(&self, contestant: Contestant, before: &str, after: &str) -> Result<Finalized> {
        let command = self.command(contestant, &[], "", &[])?;
        let script = format!("{READ_ONLY_ETC}{before}\nset +e\n{command}\nstatus=$?\nset -e\n{after}\nexit $status");
        self.run_program(contestant, &script)
    }

    fn command(
        &self,
        contestant: Contestant,
        environment: &[String],
        starter: &str,
        arguments: &[&str],
    ) -> Result<String> {
        let is_there = contestant == Contestant::Peer || self.binary(contestant).is_some();
        ensure!(is_there, "no binary of {contestant:?} is named in the environment");
        // systemd's number of the run: by it services know that they are one.
        let mut words = vec!["env INVOCATION_ID=00000000000000000000000000000001".to_owned()];
        if let Contestant::Sabotaged(what) = contestant {
            words.push(format!("FIRSTROOT_SABOTAGE={}", quoted(what)));
        }
        words.extend(environment.iter().map(|variable| quoted(variable)));
        words.push(starter.to_owned());
        words.push(contestant.program().to_owned());
        words.extend(arguments.iter().map(|word| quoted(word)));
        Ok(words.join(" "))
    }
}

/// The host's strace with these options, if there are any.
fn under_strace(options: &[&str]) -> String {
    let quoted: Vec<String> = options.iter().map(|word| quoted(word)).collect();
    if quoted.is_empty() { String::new() } else { format!("/run/fixture/tools/strace -f -qq {}", quoted.join(" ")) }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
