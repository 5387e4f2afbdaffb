//! What is true of every report on a screen.

use crate::failed::cause::Failure;
use crate::failed::report::checksums::checksums;
use crate::failed::report::what_to_do::what_to_do;
use crate::failed::report::{screen, whole};
use crate::failed::survey::Survey;
use system::columns::columns;

/// Checks it, and returns the report as a console shows it.
pub(super) fn check(failure: &Failure, survey: &Survey) -> String {
    const PREFIX: &str = "ostree-prepare-root: ";
    let kept = std::path::Path::new("/run/ostree/boot-failure");
    let text = format!("{PREFIX}{}", screen(failure, survey, PREFIX.len(), Some(kept)));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() <= 24, "{} lines:\n{text}", lines.len());
    for line in &lines {
        assert!(columns(line) <= 80, "{} columns: {line}", columns(line));
    }
    assert_eq!(checksums(&text).next(), None, "a whole checksum:\n{text}");
    // Whatever else there is, the cure is at the end, and whole.
    let advice = what_to_do(failure, survey);
    let said: Vec<&str> = advice.iter().flat_map(|advice| advice.lines()).collect();
    let cure = lines.iter().position(|line| line.contains("what to do:"));
    let cure = cure.map(|at| lines[at..].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "));
    let words = said.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let shown = cure.unwrap_or_default();
    assert_eq!(shown.trim_start_matches("what to do:").trim().replace("  ", " "), words, "{text}");
    assert!(!said.is_empty(), "{text}");
    for typed in said.iter().filter_map(|line| line.strip_prefix('\t')) {
        assert!(typed.len() <= 60, "{} characters to type: {typed}", typed.len());
        assert_eq!(checksums(typed).next(), None, "{typed}");
        // On a line of its own, which is not broken.
        assert!(
            lines.iter().any(|line| line.trim() == typed || line.ends_with(&format!("  {typed}"))),
            "{typed}:\n{text}"
        );
    }
    for said in said.iter().filter(|line| !line.starts_with('\t')) {
        assert!(!said.contains("/ostree-prepare-root ") && checksums(said).next().is_none(), "to be typed: {said}");
    }
    // Nothing stands twice: no line, and no path of something that was found.
    let mut seen: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    seen.sort_unstable();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{text}");
    let words = text.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '(', ')']));
    let mut paths: Vec<&str> = words.filter(|word| word.starts_with("/ostree/")).collect();
    paths.sort_unstable();
    assert!(paths.windows(2).all(|pair| pair[0] != pair[1]), "{text}");
    // It is a part of the whole report, which may have checksums and long lines.
    let whole = whole(failure, survey);
    assert!(whole.starts_with("cannot boot: ") && whole.contains("likely cause: ") && whole.contains("what to do: "));
    text
}
