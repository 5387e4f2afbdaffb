//! Stops the finalizer in the middle of a system call, does something, and lets it go on: what happens at the same time happens
//! at a moment that is known.

use std::fs;

use anyhow::{Context, Result, ensure};
use namespace_tests::Outcome;
use namespace_tests::finalize::Machine;

const PROGRAM: &str = "/usr/lib/firstroot/ostree-finalize-staged";

/// A system call of the program's first thread, and its number among those of its name, as strace counts.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    call: String,
    number: usize,
}

/// `count` moments of a run with these arguments, at even distances among the calls in which one of the words is. The machine stays
/// as it is: another one runs.
pub(crate) fn moments(machine: &Machine, arguments: &str, words: &[&str], count: usize) -> Result<Vec<Moment>> {
    let machine = machine.another()?;
    let trace = "/run/fixture/machine/trace";
    machine.check(&format!("/run/fixture/tools/strace -f -qq -y -o {trace} {PROGRAM} {arguments}"))?;
    let trace = fs::read_to_string(machine.directory().join("trace")).context("reading the trace")?;
    let first_thread = trace.split(' ').next().unwrap_or_default().to_owned() + " ";
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeMap::new();
    for line in trace.lines().filter_map(|line| line.strip_prefix(&first_thread)) {
        let Some((call, _)) = line.trim_start().split_once('(') else { continue };
        let number: &mut usize = seen.entry(call.to_owned()).or_default();
        // The second half of one that another thread has interrupted begins with "<...".
        if call.starts_with('<') {
            continue;
        }
        *number += 1;
        if words.iter().any(|word| line.contains(word)) {
            found.push(Moment { call: call.to_owned(), number: *number });
        }
    }
    ensure!(found.len() >= count, "only {} calls about {words:?}", found.len());
    Ok((0..count).filter_map(|index| found.get(index * (found.len() - 1) / (count - 1).max(1))).cloned().collect())
}

impl Moment {
    /// Runs the program with these arguments, and the shell commands `meanwhile` while it stands still at this moment.
    pub(crate) fn run(&self, machine: &Machine, arguments: &str, meanwhile: &str) -> Result<Outcome> {
        let Moment { call, number } = self;
        let outcome = machine.run(&format!(
            "go_on() {{
                 for directory in /proc/[0-9]*; do
                     read -r name <$directory/comm && test \"$name\" = ostree-finalize && kill -CONT ${{directory#/proc/}}
                 done 2>/dev/null
             }}
             inject=inject={call}:signal=STOP:when={number}
             /run/fixture/tools/strace -f -qq -o /run/trace -e trace={call} -e $inject {PROGRAM} {arguments} &
             traced=$!
             until grep -q 'stopped by SIGSTOP' /run/trace 2>/dev/null; do
                 kill -0 $traced 2>/dev/null || {{ echo 'it has not stopped' >&2; exit 99; }}
                 sleep 0.01
             done
             ( {meanwhile}
             ) || exit 98
             # Other threads may come to a call of that number, too.
             while kill -0 $traced 2>/dev/null; do go_on; sleep 0.01; done
             wait $traced"
        ))?;
        ensure!(outcome.code != Some(99), "{self:?}: {outcome:?}");
        Ok(outcome)
    }
}
