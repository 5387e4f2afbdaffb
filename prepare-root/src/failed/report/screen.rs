//! The report for the screen: 24 lines of 80 columns, and what to do is at its end.

use std::path::Path;

use system::columns::{SCREEN as WIDTH, columns, cut, wrapped};
use system::printable::printable;

use super::checksums::{digits_for, short};
use super::likely_cause::likely_cause;
use super::list::facts_of;
use super::what_to_do::what_to_do;
use crate::failed::cause::Failure;
use crate::failed::survey::Survey;

/// Lines of the smallest screen.
const HEIGHT: usize = 24;
/// Where values begin.
const INDENT: usize = 16;

/// A part of the report. If there is too little room, the last lines of the least important part go first.
struct Part {
    lines: Vec<String>,
    /// 0: it stays.
    unimportance: u8,
}

/// Writes it. `used` columns of the first line are taken; the whole report is in the file `whole`.
pub(crate) fn screen(failure: &Failure, survey: &Survey, used: usize, whole: Option<&Path>) -> String {
    let cause = with_numbers(failure.cause.brief(), survey);
    let asked_for = failure.asked_for.as_ref().map(ToString::to_string).unwrap_or_default();
    let paths: Vec<String> = survey.deployments.iter().map(|surveyed| surveyed.listed.path.to_string()).collect();
    let mut texts = vec![cause.as_str(), &asked_for];
    texts.extend(paths.iter().map(String::as_str));
    let digits = digits_for(&texts);
    let value = |label: &str, text: &str, most: usize| block(label, &shown(text, digits), most);

    let headline = shown(&format!("cannot boot: {cause}"), digits);
    let mut parts = vec![Part { lines: limited(wrapped(&headline, WIDTH, used, 2), 4, used), unimportance: 0 }];
    let mut add = |unimportance, lines| parts.push(Part { lines, unimportance });
    if let Some(target) = &failure.asked_for
        && !cause.contains(&target.path)
        && !cause.contains(&target.argument)
    {
        add(4, value("asked for:", &target.argument, 2));
    }
    if let Some(m) = &survey.mounted {
        let at = failure.sysroot.display();
        add(5, value("mounted:", &format!("{} on {at}, {}, {}", m.source, m.fstype, m.options), 1));
    }
    if let Some(path) = survey.other_names.iter().find(|path| !cause.contains(path.as_str())) {
        add(2, value("other names:", &format!("{path} is not a deployment name of libostree"), 2));
    }
    if let Some((path, reason)) = survey.unread.first() {
        add(2, value("unreadable:", &format!("{path}: {reason}"), 2));
    }
    if survey.is_empty() {
        add(3, value("on the disk:", &survey.of_no_system(), 2));
    }
    add(1, value("likely cause:", &likely_cause(failure, survey), 3));
    add(2, deployments(failure, survey, digits));
    if let Some(whole) = whole {
        add(3, value("more:", &whole.display().to_string(), 1));
    }
    add(0, cure(&what_to_do(failure, survey)));
    fit(parts)
}

/// The text with short checksums. No name is so long that what follows it is lost.
fn shown(text: &str, digits: usize) -> String {
    const LONGEST: usize = 100;
    let text = short(&printable(text), digits);
    text.split(' ').map(|word| cut(word, LONGEST)).collect::<Vec<_>>().join(" ")
}

/// The text with the number of each deployment in place of its path.
fn with_numbers(mut text: String, survey: &Survey) -> String {
    for surveyed in &survey.deployments {
        let (path, number) = (format!("/{}", surveyed.listed.path), format!("deployment {}", surveyed.number));
        // A path may go on behind that of the deployment.
        if !text.contains(&format!("{path}/")) {
            text = text.replace(&format!("the deployment {path}"), &number).replace(&path, &number);
        }
    }
    text
}

fn fit(mut parts: Vec<Part>) -> String {
    while parts.iter().map(|part| part.lines.len()).sum::<usize>() > HEIGHT {
        let droppable = parts.iter_mut().filter(|part| part.unimportance > 0 && !part.lines.is_empty());
        match droppable.max_by_key(|part| part.unimportance) {
            Some(part) => drop(part.lines.pop()),
            None => break,
        }
    }
    let lines = parts.into_iter().flat_map(|part| part.lines).take(HEIGHT);
    lines.map(|line| line + "\n").collect()
}

/// A label, and a text beside it in at most so many lines.
fn block(label: &str, text: &str, most: usize) -> Vec<String> {
    let mut lines = limited(wrapped(text, WIDTH, INDENT, INDENT), most, INDENT);
    if let Some(first) = lines.first_mut() {
        *first = format!("  {label:<14}{first}");
    }
    lines
}

/// The first lines, the last of them with as much of the rest as fits.
fn limited(mut lines: Vec<String>, most: usize, used: usize) -> Vec<String> {
    let rest: Vec<String> = lines.split_off(most.min(lines.len()));
    let used = if lines.len() == 1 { used } else { 0 };
    if let Some(last) = lines.last_mut() {
        for more in rest {
            last.push(' ');
            last.push_str(more.trim_start());
        }
        *last = cut(last, WIDTH - used).into_owned();
    }
    lines
}

/// One line each: number, digits of the checksum, day, version, title.
fn deployments(failure: &Failure, survey: &Survey, digits: usize) -> Vec<String> {
    const MOST: usize = 6;
    let all = &survey.deployments;
    if all.is_empty() {
        let is_certain = !survey.is_empty() && survey.unread.is_empty();
        return if is_certain { block("deployments:", "none", 1) } else { Vec::new() };
    }
    let shares_commit =
        |number: usize, commit| all.iter().any(|other| other.number != number && other.listed.path.id.commit == commit);
    let mut lines = Vec::new();
    for surveyed in all.iter().take(MOST) {
        let id = &surveyed.listed.path.id;
        let mut facts = vec![surveyed.number.to_string()];
        let beginning = id.commit.as_str().get(..digits).unwrap_or_default();
        let serial = if shares_commit(surveyed.number, id.commit.clone()) {
            format!(".{}", id.deployserial)
        } else {
            String::new()
        };
        facts.push(format!("{beginning}{serial}"));
        facts.extend(facts_of(surveyed, failure, survey));
        let shown: Vec<String> = facts.iter().map(|fact| cut(&printable(fact), 40).into_owned()).collect();
        let label = if lines.is_empty() { "deployments:" } else { "" };
        lines.push(format!("  {label:<14}{}", cut(&shown.join(" "), WIDTH - INDENT)));
    }
    let hidden = survey.numbered.list.len().saturating_sub(lines.len());
    if hidden > 0 {
        lines.push(format!("{:INDENT$}and {hidden} more", ""));
    }
    lines
}

/// Sentences and, further to the right, what has to be typed, which is only broken if an odd name makes it too long.
fn cure(advice: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for said in advice.iter().flat_map(|advice| advice.lines()) {
        let mut new = match said.strip_prefix('\t') {
            Some(typed) if columns(typed) <= WIDTH - INDENT - 2 => vec![format!("  {typed}")],
            Some(typed) => wrapped(typed, WIDTH, INDENT, INDENT + 2),
            None => wrapped(said, WIDTH, INDENT, INDENT),
        };
        if let Some(first) = new.first_mut() {
            let label = if lines.is_empty() { "what to do:" } else { "" };
            *first = format!("  {label:<14}{first}");
        }
        lines.extend(new);
    }
    lines
}
