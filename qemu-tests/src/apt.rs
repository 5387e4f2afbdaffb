//! What the host's apt is configured with: which release, which mirror.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Debian's own, for a host that is not configured with one.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// The host's release (`bookworm`, `trixie`, …), from os-release.
pub(crate) fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    Ok(value(&text, "VERSION_CODENAME=").unwrap_or_default())
}

/// The URI of the Debian archive that the host's apt uses: guests are made from the same one, since a machine may reach
/// no other.
pub(crate) fn mirror() -> Result<String> {
    let codename = codename()?;
    let mut sources = Vec::new();
    for path in source_files(Path::new("/etc/apt")) {
        sources.push(fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    Ok(sources.iter().find_map(|text| archive_uri(text, &codename)).unwrap_or_else(|| DEFAULT_MIRROR.to_owned()))
}

fn source_files(etc_apt: &Path) -> Vec<std::path::PathBuf> {
    let mut files = vec![etc_apt.join("sources.list")];
    let parts = fs::read_dir(etc_apt.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(parts.filter(|path| path.extension().is_some_and(|e| e == "sources" || e == "list")));
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// The first URI in one of apt's source files that serves the suite `codename`, in either of the two formats.
fn archive_uri(text: &str, codename: &str) -> Option<String> {
    let names_suite = |suites: &str| suites.split_whitespace().any(|suite| suite == codename);
    for stanza in text.split("\n\n") {
        let suites = value(stanza, "Suites:").unwrap_or_default();
        if names_suite(&suites) {
            return value(stanza, "URIs:")?.split_whitespace().next().map(str::to_owned);
        }
    }
    text.lines().find_map(|line| {
        let words = line.strip_prefix("deb ")?.trim_start();
        let words = words.strip_prefix('[').and_then(|w| w.split_once(']')).map_or(words, |(_, rest)| rest);
        let (uri, suite) = words.trim().split_once(' ')?;
        names_suite(suite.split_whitespace().next()?).then(|| uri.to_owned())
    })
}

fn value(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats() {
        let deb822 = "# comment\nTypes: deb\nURIs: http://mirror/backports\nSuites: bookworm-backports\n\n\
                      Types: deb\nURIs: http://mirror/debian/ http://other\nSuites: bookworm bookworm-updates\n";
        assert_eq!(archive_uri(deb822, "bookworm").as_deref(), Some("http://mirror/debian/"));
        let list =
            "deb http://security/ trixie-security main\ndeb [arch=amd64 trusted=yes] http://m/debian trixie main\n";
        assert_eq!(archive_uri(list, "trixie").as_deref(), Some("http://m/debian"));
        assert_eq!(archive_uri(list, "bookworm"), None);
    }
}
