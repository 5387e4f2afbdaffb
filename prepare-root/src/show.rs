//! What goes to standard output: plans, findings, texts.

use ostree_formats::boot_attempts::OLDER_LIST;
use rustix::io::Errno;
use serde::Serialize;
use system::printable::printable;
use system::{SystemError, output};

use crate::boot::{BootRequest, Known, Planned};
use crate::check_config::Findings;
use crate::exit_status::{FAILED, SUCCESS, Status, UNKNOWN};
use crate::plan::MountPlan;
use crate::plan::attempts::{ListExchange, did_not_come_up};
use crate::read::mount_state::PreparedFor;
use crate::verify::{Finding, Verdict, VerifyRequest};

/// Prints.
pub(crate) fn print(text: &str) -> Status {
    printed(output::print(text))
}

/// If the reader has closed the pipe, the status is a failure, but there is no message.
fn printed(result: Result<(), Errno>) -> Status {
    match result {
        Ok(()) => SUCCESS,
        Err(Errno::PIPE) => FAILED,
        Err(reason) => failed(&format_args!("cannot write to standard output: {reason}")),
    }
}

/// `--plan`, with `json` as JSON.
pub(crate) fn plan(request: &BootRequest, json: bool) -> Status {
    match request.show(&mut Known::default()) {
        Ok(Planned::Plan(plan, ..)) if json => in_json(&plan),
        Ok(Planned::Plan(plan, ..)) => print(&in_words(&plan)),
        Ok(Planned::OtherList(exchange, _)) if json => in_json(&Instead::OtherList(&exchange)),
        Ok(Planned::OtherList(exchange, _)) => print(&exchange_in_words(&exchange)),
        Ok(Planned::PreparedAlready(prepared)) if json => in_json(&Already::PreparedAlready(prepared)),
        Ok(Planned::Running(root)) if json => in_json(&Already::BootedAlready(root)),
        Ok(Planned::Running(root)) => print_line(&format!("already booted from {root}: nothing to do")),
        Ok(Planned::PreparedAlready(prepared)) => {
            print_line(&format!("already prepared for {prepared}: nothing to do"))
        }
        Err(cause) => failed(&cause),
    }
}

/// What `--plan --json` prints where nothing would be done.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Already {
    /// From this root.
    BootedAlready(String),
    PreparedAlready(PreparedFor),
}

/// What it prints where another list would boot.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Instead<'a> {
    OtherList(&'a ListExchange),
}

fn exchange_in_words(exchange: &ListExchange) -> String {
    let ListExchange { instead_of, fallback, attempts, boot, .. } = exchange;
    let place = boot.as_ref().map_or_else(String::new, |uuid| format!(" on the filesystem {uuid}"));
    let failed = did_not_come_up(instead_of, *attempts);
    format!(
        "{failed}\n\
         1. exchange /boot/loader.N with /boot/{OLDER_LIST}{place}, whose default is /{fallback}\n\
         2. reboot\n"
    )
}

fn in_json(value: &impl Serialize) -> Status {
    match serde_json::to_string_pretty(value) {
        Ok(text) => printed(output::print_json(&format!("{text}\n"))),
        Err(error) => failed(&error),
    }
}

/// `--check-config`.
pub(crate) fn findings(result: Result<Findings, SystemError>) -> Status {
    let findings = match result {
        Ok(findings) => findings,
        Err(error) => return failed(&error),
    };
    for warning in &findings.warnings {
        log::warn!("{warning}");
    }
    for error in &findings.errors {
        log::error!("{error}");
    }
    if findings.errors.is_empty() { SUCCESS } else { FAILED }
}

/// `--verify`: a line for each deployment, and the worst of them as the status.
pub(crate) fn verdicts(request: &VerifyRequest) -> Status {
    let (mut bad, mut unknown, mut printed) = (false, false, true);
    let result = request.verify(|Verdict { deployment, result }| {
        let verdict = match result {
            Ok(reasons) => format!("good: {reasons}"),
            Err(finding) if finding.is_certain() => format!("BAD: {finding}"),
            Err(finding) => format!("cannot tell: {finding}"),
        };
        bad |= result.as_ref().is_err_and(Finding::is_certain);
        unknown |= result.as_ref().is_err_and(|finding| !finding.is_certain());
        printed &= print_line(&format!("/{deployment}: {verdict}")) == SUCCESS;
    });
    match result {
        Err(cause) => {
            failed(&cause);
            UNKNOWN
        }
        Ok(()) if bad => FAILED,
        // A verdict that could not be printed counts as unknown.
        Ok(()) if unknown || !printed => UNKNOWN,
        Ok(()) => SUCCESS,
    }
}

/// Prints one line, even if a name from the disk has a line break.
fn print_line(text: &str) -> Status {
    print(&line(text))
}

fn line(text: &str) -> String {
    format!("{}\n", printable(text))
}

fn failed(error: &dyn std::fmt::Display) -> Status {
    log::error!("{error}");
    FAILED
}

/// A plan, line by line.
pub(crate) fn in_words(plan: &MountPlan) -> String {
    let asked_for = &plan.asked_for;
    let mut text = line(&format!("asked for: {} ({})", asked_for.path, asked_for.described()));
    for warning in &plan.warnings {
        text.push_str(&line(&format!("warning: {warning}")));
    }
    for (number, step) in (1..).zip(&plan.steps) {
        text.push_str(&line(&format!("{number:2}. {step}")));
    }
    text
}
