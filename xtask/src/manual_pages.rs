//! Manual pages: mandoc has nothing to say against them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{self, run};

/// Has mandoc look at them. Not every machine has it.
pub(crate) fn lint() -> Result<()> {
    // It has no option that only says its version, and reads standard input without a file.
    if Command::new("mandoc").args(["-T", "lint", "/dev/null"]).output().is_err() {
        println!("skipped: mandoc (not installed: apt-get install mandoc)");
        return Ok(());
    }
    run(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(pages()?))
}

fn pages() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(workspace::root().join("man")).context("the manual pages")?;
    let mut pages = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::pages;

    #[test]
    fn every_page_has_its_name_a_date_and_the_version_of_the_programs() {
        let pages = pages().unwrap();
        assert!(pages.len() >= 3, "{pages:?}");
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap();
            let title = text.lines().find(|line| line.starts_with(".TH ")).unwrap();
            let name = page.file_stem().unwrap().to_str().unwrap().to_uppercase();
            let section = page.extension().unwrap().to_str().unwrap();
            let words: Vec<&str> = title.split('"').collect();
            let [before, date, " ", version, " ", "OSTree", ""] = words.as_slice() else { panic!("{title}") };
            assert_eq!(*before, format!(".TH {name} {section} "));
            assert_eq!(*version, concat!("firstroot ", env!("CARGO_PKG_VERSION")), "{name}");
            // mandoc knows no other form.
            let form: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(form, "0000-00-00", "{name}: {date}");
        }
    }
}
