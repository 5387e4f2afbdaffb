//! The answer as a page: findings first, the answer last.

use super::model::{Answer, Check, Severity};
use crate::show::page::{Page, Style};

const COLUMN: usize = 9;

pub(super) fn page(check: &Check, page: &mut Page) {
    for entry in &check.entries {
        let (style, word) = answer(entry.boots);
        page.labelled(0, COLUMN, style, word, &format!("{}: {}", entry.entry, entry.title));
        if let Some(deployment) = &entry.deployment {
            page.line(COLUMN, Style::Plain, deployment);
        }
        if let Some(program) = &entry.prepare_root {
            page.line(COLUMN, Style::Plain, &format!("prepared by {program}"));
        }
    }
    for finding in &check.findings {
        let (style, word) = match finding.severity {
            Severity::Bad => (Style::Bad, "BAD"),
            Severity::Unknown => (Style::Warning, "unknown"),
            Severity::Note => (Style::Warning, "note"),
        };
        page.labelled(0, COLUMN, style, word, &format!("{}: {}", finding.about, finding.text));
        page.command(COLUMN, &format!("=> {}", finding.cure));
    }
    match check.answer {
        Answer::Yes => page.line(0, Style::Good, "This machine would come up, with every entry."),
        Answer::No => page.line(0, Style::Bad, "This machine would not come up with every entry."),
        Answer::CannotTell => {
            page.line(0, Style::Warning, "It cannot be told whether this machine would come up with every entry.")
        }
    }
}

fn answer(answer: Answer) -> (Style, &'static str) {
    match answer {
        Answer::Yes => (Style::Good, "boots"),
        Answer::No => (Style::Bad, "BAD"),
        Answer::CannotTell => (Style::Warning, "unknown"),
    }
}
