//! Everything where a distribution expects it: `make install` has the list.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::binary;
use crate::workspace;

/// Builds every program and installs all of them, with what belongs to them, below `destdir`.
pub(crate) fn install(destdir: &Path, dracut_module: Option<&str>) -> Result<()> {
    let mut command = binary::make_all();
    command.args(dracut_module.map(|name| format!("DRACUT_MODULE={name}")));
    install_by(command, destdir)
}

/// The same with the programs that were taken out of packages.
pub(crate) fn install_taken(destdir: &Path) -> Result<()> {
    install_by(binary::make_of_taken(), destdir)
}

fn install_by(mut make: Command, destdir: &Path) -> Result<()> {
    let mut variable = OsString::from("DESTDIR=");
    variable.push(std::path::absolute(destdir)?);
    workspace::run(make.arg("install").arg(variable))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// Source and destination of each line, with all variables but these at their defaults.
    fn listed(variables: &[&str]) -> Vec<(String, String)> {
        let mut make = Command::new("make");
        let make = make.args(["--silent", "files"]).args(variables).current_dir(workspace::root()).output().unwrap();
        assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
        let text = String::from_utf8(make.stdout).unwrap();
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, source, destination] = words.as_slice() else { panic!("{line}") };
            ((*source).to_owned(), (*destination).to_owned())
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn every_file_that_belongs_to_the_programs_is_installed() {
        let both = [listed(&[]), listed(&["OWN_UNITS=yes"])].concat();
        let listed: BTreeSet<String> = both.into_iter().map(|(source, _)| source).collect();
        let root = workspace::root();
        let folders = ["units", "dracut-module", "initramfs-tools", "mkinitcpio", "man"];
        let mut directories: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    assert!(listed.contains(name), "the Makefile does not install {name}");
                }
            }
        }
    }

    #[test]
    fn the_documentation_has_the_same_list() {
        let text = fs::read_to_string(workspace::root().join("docs/packaging.md")).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|rest| {
            let (path, rest) = rest.split_once("` | ")?;
            let mode = rest.split(' ').next()?;
            let is_path = path.starts_with("usr/") || path.starts_with("etc/");
            (is_path && (mode == "link" || mode.starts_with('0'))).then(|| format!("/{path}"))
        });
        let documented: BTreeSet<String> = rows.collect();
        let listed: BTreeSet<String> = listed(&[]).into_iter().map(|(_, destination)| destination).collect();
        assert_eq!(documented, listed);
    }
}
