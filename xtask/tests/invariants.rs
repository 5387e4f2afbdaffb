//! Each test that `docs/architecture.md` names below an invariant exists.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// What the document calls the tests of a folder.
const LAYERS: [(&str, &str); 5] = [
    ("namespaces", "namespace-tests/tests/namespaces"),
    ("finalize", "namespace-tests/tests/finalize"),
    ("real_root", "namespace-tests/tests/real_root"),
    ("power_cuts", "namespace-tests/tests/power_cuts"),
    ("machines", "qemu-tests/tests/machines"),
];

#[test]
fn each_invariant_names_tests_that_exist() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/architecture.md"))?;
    let (_, after) = text.split_once("\n## Invariants\n").context("there is no section Invariants")?;
    let section = after.split("\n## ").next().unwrap_or_default();
    let everything = sources(&root)?;
    let (mut promises, mut tests, mut missing) = (0, 0, Vec::new());
    for line in section.lines() {
        let Some(named) = line.trim_start().strip_prefix("- `") else {
            promises += usize::from(line.starts_with(|first: char| first.is_ascii_digit()));
            continue;
        };
        let (named, _) = named.split_once('`').with_context(|| format!("no closing quote: {line}"))?;
        let (layer, path) = named.split_once(": ").with_context(|| format!("no layer: {line}"))?;
        let exists = match LAYERS.iter().find(|(name, _)| *name == layer) {
            Some((_, folder)) => is_test(&root.join(folder), path)?,
            None => layer == "unit" && everything.contains(&format!("fn {path}(")),
        };
        tests += 1;
        if !exists {
            missing.push(named);
        }
    }
    ensure!(promises > 15 && tests > promises, "only {promises} promises and {tests} tests were read");
    ensure!(missing.is_empty(), "docs/architecture.md names tests that do not exist: {missing:#?}");
    Ok(())
}

/// Whether `group::name` is a function in the file of the group, or a part of a name that is made at run time.
fn is_test(folder: &Path, path: &str) -> Result<bool> {
    let Some((group, name)) = path.split_once("::") else {
        return Ok(sources(folder)?.contains(&format!("fn {path}(")));
    };
    let file = folder.join(format!("{group}.rs"));
    if file.is_file() {
        return Ok(fs::read_to_string(file)?.contains(&format!("fn {name}(")));
    }
    Ok(sources(folder)?.contains(path))
}

/// All Rust code below a folder, without build directories.
fn sources(folder: &Path) -> Result<String> {
    let mut text = String::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                text += &fs::read_to_string(&path)?;
            }
        }
    }
    Ok(text)
}
