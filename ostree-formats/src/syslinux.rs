//! `syslinux.cfg`: the labels of this system are written anew, everything else stays.
//!
//! The text is libostree's, byte by byte, with these exceptions: a `DEFAULT` that names another system's label stays, a label
//! without a `KERNEL` stays, all initrds of an entry are written, and a label is `ostree:N`. libostree's are titles, whose first word
//! is the label to syslinux, while it appends the others to the kernel's command line: a version `1` there has systemd start
//! a rescue shell. libostree knows such a label for one of this system.

use std::collections::BTreeSet;

use crate::bls::{BlsEntry, one_line};

/// A line that is not in a label of this system.
#[derive(Clone, Copy)]
enum Line<'a> {
    /// It has the name of the default label.
    Default(&'a [u8]),
    /// Any other.
    Other(&'a [u8]),
}

/// The new text, for the entries of a list in their order. `old` is the current text, in which anything may stand. `prefix` is what
/// paths in the entries lack: `/boot`, or nothing.
pub fn with_entries(old: &[u8], entries: &[BlsEntry], prefix: &str) -> Vec<u8> {
    let (lines, own_labels) = lines_of_others(old);
    let is_own = |line: &[u8]| is_own_default(line, &own_labels);
    // The last one counts for syslinux.
    let last = lines.iter().rev().find_map(|line| if let Line::Default(line) = line { Some(*line) } else { None });
    let default_is_own = last.is_none_or(is_own);
    let kept = lines.iter().filter_map(|line| match line {
        // As libostree does; a line that it does not recognise stays, and the new one after it counts.
        Line::Default(line) if default_is_own && line.starts_with(b"DEFAULT ") => None,
        Line::Default(line) if !default_is_own && is_own(line) => None,
        Line::Default(line) | Line::Other(line) => Some(*line),
    });
    let mut new = Vec::new();
    let mut index = 0;
    for entry in entries {
        // Without a kernel it is no entry to boot.
        let Some(kernel) = entry.get("linux") else { continue };
        let title = one_line(entry.get("title").unwrap_or("(Untitled)"));
        let label = format!("ostree:{index}");
        index += 1;
        if default_is_own && new.is_empty() {
            new.push(format!("DEFAULT {label}"));
        }
        new.push(format!("LABEL {label}"));
        new.push(format!("\tMENU LABEL {title}"));
        let mut add = |key: &str, value: &str| new.push(format!("\t{key} {}", one_line(value)));
        add("KERNEL", &format!("{prefix}{kernel}"));
        let initrds: Vec<String> = entry.values("initrd").map(|path| format!("{prefix}{path}")).collect();
        if !initrds.is_empty() {
            add("INITRD", &initrds.join(","));
        }
        if let Some(path) = entry.get("devicetree") {
            add("DEVICETREE", &format!("{prefix}{path}"));
        }
        if let Some(options) = entry.get("options") {
            add("APPEND", options);
        }
    }
    joined(kept.chain(new.iter().map(String::as_bytes)))
}

/// The lines of a file without the labels of this system, whose names are returned apart.
fn lines_of_others(text: &[u8]) -> (Vec<Line<'_>>, BTreeSet<&[u8]>) {
    let (mut others, mut own_labels) = (Vec::new(), BTreeSet::new());
    let mut label: Option<Vec<&[u8]>> = None;
    for line in text.split(|byte| *byte == b'\n') {
        if line.starts_with(b"\t")
            && let Some(lines) = &mut label
        {
            lines.push(line);
            continue;
        }
        finish(label.take(), &mut others, &mut own_labels);
        if line.starts_with(LABEL) {
            label = Some(vec![line]);
        } else if first_word(line).0.eq_ignore_ascii_case(b"default") {
            others.push(Line::Default(line));
        } else {
            others.push(Line::Other(line));
        }
    }
    finish(label, &mut others, &mut own_labels);
    (others, own_labels)
}

const LABEL: &[u8] = b"LABEL ";

/// Adds the lines of a label to those of others, or its name to the names of this system's labels.
fn finish<'a>(label: Option<Vec<&'a [u8]>>, others: &mut Vec<Line<'a>>, own_labels: &mut BTreeSet<&'a [u8]>) {
    let Some(lines) = label else { return };
    let kernel = lines.iter().rev().find_map(|line| line.strip_prefix(b"\tKERNEL "));
    // libostree before 2020.4 wrote paths without `/boot`.
    let is_own = kernel.is_some_and(|path| path.starts_with(b"/ostree/") || path.starts_with(b"/boot/ostree/"));
    if is_own {
        own_labels.extend(lines.first().and_then(|line| line.strip_prefix(LABEL)).map(<[u8]>::trim_ascii));
    } else {
        others.extend(lines.into_iter().map(Line::Other));
    }
}

/// Whether a `DEFAULT` names a label of this system, or none. libostree knows them by their title; a label that goes is one of them,
/// too.
fn is_own_default(line: &[u8], own_labels: &BTreeSet<&[u8]>) -> bool {
    let name = first_word(line).1;
    name.is_empty()
        || line.starts_with(b"DEFAULT ostree:")
        || line.windows(b"(ostree".len()).any(|window| window == b"(ostree")
        || own_labels.contains(name)
}

/// The first word of a line, and the rest.
fn first_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.trim_ascii())
}

/// One text of lines, with libostree's treatment of empty ones: the first stays, unless the text begins with it.
pub(crate) fn joined<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut text, mut has_empty) = (Vec::new(), false);
    for (index, line) in lines.into_iter().enumerate() {
        if line.is_empty() {
            if has_empty || index == 0 {
                continue;
            }
            has_empty = true;
        }
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests;
