//! The whole report, for the journal and for a file: everything that was found, each item on one line.

use std::fmt::Write;

use system::printable::printable;

use super::likely_cause::likely_cause;
use super::list::facts_of;
use super::what_to_do::what_to_do;
use crate::failed::cause::Failure;
use crate::failed::survey::Survey;

/// Writes it.
pub(crate) fn whole(failure: &Failure, survey: &Survey) -> String {
    let mut text = format!("cannot boot: {}\n", printable(&failure.cause.to_string()));
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<14}{}", printable(value));
    };
    match &failure.asked_for {
        Some(target) => {
            line("asked for:", &format!("{} ({})", target.path, target.described()));
            line(
                "looked up:",
                &format!("{} on the physical root, mounted at {}", target.path, failure.sysroot.display()),
            );
        }
        None => line("asked for:", "unknown: see the first line"),
    }
    match &survey.mounted {
        Some(m) => {
            line("mounted:", &format!("{} on {}, {}, {}", m.source, failure.sysroot.display(), m.fstype, m.options))
        }
        None => line("mounted:", &format!("nothing at {}", failure.sysroot.display())),
    }
    for (n, path) in survey.other_names.iter().enumerate() {
        line(if n == 0 { "other names:" } else { "" }, &format!("{path} is not a deployment name of libostree"));
    }
    for (path, reason) in &survey.unread {
        line("unreadable:", &format!("{path}: {reason}"));
    }
    if survey.is_empty() {
        line("on the disk:", &survey.of_no_system());
    } else if !survey.boot_links.is_empty() || !survey.deployments.is_empty() {
        for (n, (link, target)) in survey.boot_links.iter().enumerate() {
            line(if n == 0 { "boot links:" } else { "" }, &format!("{link} -> {target}"));
        }
        if survey.boot_links.is_empty() && survey.unread.is_empty() {
            line("boot links:", "none");
        }
        for (n, surveyed) in survey.deployments.iter().enumerate() {
            let mut facts = facts_of(surveyed, failure, survey);
            facts.extend(surveyed.origin.as_ref().map(|origin| format!("origin {origin}")));
            let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
            let label = if n == 0 { "deployments:" } else { "" };
            line(label, &format!("{}: /{}{facts}", surveyed.number, surveyed.listed.path));
        }
        if survey.deployments.is_empty() && survey.unread.is_empty() {
            line("deployments:", "none");
        }
    }
    line("likely cause:", &likely_cause(failure, survey));
    let mut label = "what to do:";
    for said in what_to_do(failure, survey).iter().flat_map(|advice| advice.lines()) {
        // What has to be typed stands further to the right.
        line(label, &said.replacen('\t', "  ", 1));
        label = "";
    }
    text
}
