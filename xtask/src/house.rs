//! `cargo xtask house`: whether the tree of the shipped crates shows the way of the data.
//!
//! No file imports itself by way of others, no room imports one that the data reaches later, and files and functions are short
//! enough to be read at once. A comment `// House: ` with a reason lifts a length: above the function, or at the top of the file.

mod circles;
mod imports;
mod lengths;
mod rooms;
mod sources;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::binary;
use crate::workspace;
use imports::Import;
use sources::Source;

/// Crates whose findings are printed, and are no error yet.
const NOT_YET: [&str; 0] = [];

/// What there is to say of one crate.
#[derive(Debug, Default)]
struct Inspection {
    files: usize,
    lines: usize,
    long_files: usize,
    long_functions: usize,
    circles: usize,
    /// What the rules forbid.
    findings: Vec<String>,
}

/// Looks at the crates that the shipped programs link, and prints the figures.
pub(crate) fn check() -> Result<()> {
    let mut findings = 0;
    println!("{:<16} {:>5} {:>6} {:>10} {:>10} {:>8}", "", "files", "lines", "files >300", "fns >60", "circles");
    for name in shipped_crates()? {
        let inspection = inspect(&name).with_context(|| format!("the sources of {name}"))?;
        let Inspection { files, lines, long_files, long_functions, circles, .. } = inspection;
        let share = format!("{long_files} ({:.0} %)", 100.0 * long_files as f64 / files.max(1) as f64);
        println!("{name:<16} {files:>5} {lines:>6} {share:>10} {long_functions:>10} {circles:>8}");
        let is_exempt = NOT_YET.contains(&name.as_str());
        for finding in &inspection.findings {
            println!("    {}{finding}", if is_exempt { "not yet: " } else { "" });
        }
        findings += if is_exempt { 0 } else { inspection.findings.len() };
    }
    ensure!(findings == 0, "{findings} findings in the shipped crates");
    Ok(())
}

fn inspect(name: &str) -> Result<Inspection> {
    let directory = workspace::root().join(name);
    let sources = sources::read(&directory)?;
    let imports = imports::of(&sources);
    Ok(judge(name, &sources, &imports))
}

fn judge(name: &str, sources: &[Source], imports: &[Import]) -> Inspection {
    let circles = circles::find(imports);
    let long_files: Vec<String> = sources.iter().filter_map(lengths::long_file).collect();
    let long_functions: Vec<String> = sources.iter().flat_map(lengths::long_functions).collect();
    let in_circles = circles.iter().map(|circle| format!("files that import each other in a circle: {circle}"));
    Inspection {
        files: sources.len(),
        lines: sources.iter().map(|source| source.text.lines().count()).sum(),
        long_files: sources.iter().filter(|source| lengths::is_long(source)).count(),
        long_functions: sources.iter().map(lengths::count_of_long_functions).sum(),
        circles: circles.len(),
        findings: in_circles
            .chain(rooms::findings(name, sources, imports))
            .chain(long_files)
            .chain(long_functions)
            .collect(),
    }
}

/// Those of the workspace that the shipped programs are built from, in the order of their names.
fn shipped_crates() -> Result<BTreeSet<String>> {
    let mut command = workspace::cargo();
    command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    for program in binary::PROGRAMS {
        command.args(["--package", program.package]);
    }
    let output = command.output().context("running cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let root = workspace::root();
    let tree = String::from_utf8(output.stdout)?;
    let directories = tree.lines().filter_map(directory_of).filter(|directory| directory.starts_with(&root));
    directories
        .map(|directory| {
            let name = directory.strip_prefix(&root).context("a crate outside of the workspace")?;
            Ok(name.to_str().context("a directory without a name")?.to_owned())
        })
        .collect()
}

/// `prepare-root v0.1.0 (/path/prepare-root)`, with ` (*)` behind it from the second time on.
fn directory_of(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once(" (/")?;
    let (path, _) = rest.split_once(')')?;
    Some(Path::new("/").join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_workspace_have_a_directory() {
        assert_eq!(directory_of("system v0.1.0 (/w/system) (*)"), Some(PathBuf::from("/w/system")));
        assert_eq!(directory_of("serde_derive v1.0.229 (proc-macro)"), None);
        let shipped = shipped_crates().unwrap();
        assert!(shipped.contains("prepare-root") && shipped.contains("system") && !shipped.contains("xtask"));
    }
}
