//! The report of a failed boot: everything that an administrator at a serial console needs, in one block.

mod advice;
mod configuration;
mod deployment;
mod elsewhere;
mod init;
mod likely_cause;
mod what_to_do;

use std::fmt::Write;

use system::printable::printable;

use super::cause::Failure;
use super::survey::Survey;
use likely_cause::likely_cause;
use what_to_do::what_to_do;

/// Writes it.
pub(crate) fn report(failure: &Failure, survey: &Survey) -> String {
    let mut text = format!("cannot boot: {}\n", printable(&failure.cause.to_string()));
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<14}{}", printable(value));
    };
    match &failure.asked_for {
        Some(target) => {
            line("asked for:", &format!("{} (kernel argument {})", target.path, target.argument));
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
        let in_root = match survey.top_level.as_slice() {
            [] => "is empty".to_owned(),
            names => format!("has: {}", names.join(" ")),
        };
        line("on the disk:", &format!("no boot links and no deployments; its root directory {in_root}"));
    } else if !survey.boot_links.is_empty() || !survey.deployments.is_empty() {
        for (n, (link, target)) in survey.boot_links.iter().enumerate() {
            line(if n == 0 { "boot links:" } else { "" }, &format!("{link} -> {target}"));
        }
        if survey.boot_links.is_empty() && survey.unread.is_empty() {
            line("boot links:", "none");
        }
        for (n, (deployment, followed)) in survey.deployments.iter().enumerate() {
            let followed = followed.as_ref().map(|origin| format!(" (origin {origin})")).unwrap_or_default();
            line(if n == 0 { "deployments:" } else { "" }, &format!("/{deployment}{followed}"));
        }
        if survey.deployments.is_empty() && survey.unread.is_empty() {
            line("deployments:", "none");
        }
    }
    line("likely cause:", &likely_cause(failure, survey));
    for (n, action) in what_to_do(failure, survey).iter().enumerate() {
        line(if n == 0 { "what to do:" } else { "" }, action);
    }
    text
}

#[cfg(test)]
mod tests;
