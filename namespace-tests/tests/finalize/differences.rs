//! The ways in which ours is meant to differ. Each has a sentence in `docs/differences.md`, under [`HEADING`].

use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Found;
use qemu_tests::guest::Guest;

use crate::scenario::{Difference, Scenario};

const HEADING: &str = "## Finalizing: names of differences";

const BOTH: &[Guest] = &[Guest::Trixie, Guest::Forky];

/// Where `/boot` is on the physical root's filesystem, its kernels are the deployments' own files.
static BOOT_LINKS: Difference = Difference {
    name: "boot-hard-links",
    accepts: |found| {
        found.aspect == "same file as" && found.ours.as_ref().is_some_and(|first| first.starts_with("boot/ostree/"))
    },
    with: BOTH,
};

/// ostree 2025.2 writes two keys for Android's boot loader into every entry.
static ABOOT_KEYS: Difference = Difference {
    name: "no-aboot-keys",
    accepts: |found| ["key aboot", "key abootcfg"].contains(&found.aspect.as_str()) && found.ours.is_none(),
    with: &[Guest::Trixie],
};

/// Why it failed is told in each program's own words.
static FAILURE_TEXT: Difference = Difference {
    name: "failure-text",
    accepts: |found| found.path == "boot/ostree/finalize-failure.stamp" && found.aspect == "content",
    with: BOTH,
};

/// Those that any story can lead to.
static EVERYWHERE: &[&Difference] = &[&BOOT_LINKS, &ABOOT_KEYS, &FAILURE_TEXT];

/// What is left of `found` when the differences that `scenario` expects are taken away; and it is an error when one of its own
/// is not found.
pub(crate) fn unexpected(found: Vec<Found>, scenario: &Scenario, guest: Guest) -> Result<Vec<Found>> {
    let expected = scenario.differences.iter().filter(|difference| difference.with.contains(&guest));
    for difference in expected.clone() {
        ensure!(
            found.iter().any(|found| (difference.accepts)(found)),
            "{} is expected, and was not found",
            difference.name
        );
    }
    let all: Vec<_> = expected.chain(EVERYWHERE.iter().filter(|difference| difference.with.contains(&guest))).collect();
    Ok(found.into_iter().filter(|found| !all.iter().any(|difference| (difference.accepts)(found))).collect())
}

/// The names in the documentation.
fn documented() -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    names(&text)
}

fn names(text: &str) -> Result<Vec<String>> {
    let (_, after) = text.split_once(&format!("\n{HEADING}\n")).with_context(|| format!("no heading {HEADING:?}"))?;
    let list = after.split("\n## ").next().unwrap_or_default();
    let mut names = Vec::new();
    for line in list.lines().filter_map(|line| line.strip_prefix("- ")) {
        let name = line.strip_prefix('`').and_then(|rest| rest.split_once("`: "));
        let (name, _) = name.with_context(|| format!("not \"- `name`: sentence\": {line}"))?;
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Every difference that a scenario expects has a sentence in the documentation, and the other way round.
pub(crate) fn names_are_those_of_the_documentation(scenarios: &[Scenario]) -> Result<()> {
    let documented = documented()?;
    let used: Vec<&str> = scenarios
        .iter()
        .flat_map(|scenario| &scenario.differences)
        .chain(EVERYWHERE)
        .map(|difference| difference.name)
        .collect();
    for name in &used {
        ensure!(documented.iter().any(|d| d == name), "{name} is not in docs/differences.md, under {HEADING:?}");
    }
    for name in &documented {
        ensure!(used.contains(&name.as_str()), "{name} is in docs/differences.md, and no scenario expects it");
    }
    Ok(())
}
