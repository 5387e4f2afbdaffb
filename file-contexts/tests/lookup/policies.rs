//! Small policies, and what is asked of them.

use file_contexts::{FileContexts, FileKind, Texts};

/// A policy of one file, in which `A` stands for the label `u:r:a_t` and so on, and a word in front of a label is a regex.
pub(crate) fn policy(lines: &str) -> FileContexts {
    parsed(Texts { contexts: spelled(lines).as_bytes(), ..Texts::default() })
}

pub(crate) fn parsed(texts: Texts<'_>) -> FileContexts {
    FileContexts::parse(texts).unwrap()
}

/// `A` at the end of a line becomes a label.
pub(crate) fn spelled(lines: &str) -> String {
    let spell = |line: &str| match line.split_at_checked(line.len().wrapping_sub(1)) {
        Some((start, letter)) if start.ends_with(' ') && letter.chars().all(|c| c.is_ascii_uppercase()) => {
            format!("{start}u:r:{}_t\n", letter.to_lowercase())
        }
        _ => format!("{line}\n"),
    };
    lines.lines().map(str::trim).map(spell).collect()
}

/// The letter of the label; `-`: none.
pub(crate) fn letter<'a>(contexts: &'a FileContexts, path: &str, kind: Option<FileKind>) -> &'a str {
    bytes_letter(contexts, path.as_bytes(), kind)
}

pub(crate) fn bytes_letter<'a>(contexts: &'a FileContexts, path: &[u8], kind: Option<FileKind>) -> &'a str {
    let Some(label) = contexts.label(path, kind) else { return "-" };
    label.strip_prefix("u:r:").and_then(|label| label.strip_suffix("_t")).unwrap()
}

/// Whether one regex, alone in a policy, matches; it has to compile.
pub(crate) fn matches(regex: &str, path: &[u8]) -> bool {
    let contexts = policy(&format!("{regex} A"));
    let found = contexts.label(path, None).is_some();
    assert_eq!(contexts.broken(), [""; 0], "{regex}");
    found
}
