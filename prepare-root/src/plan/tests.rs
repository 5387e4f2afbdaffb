//! A directory is a test case: adding one below `tests/plans` needs no Rust.
//!
//! - `cmdline`: the kernel command line
//! - `prepare-root.conf`, `drop-in.conf`: the configuration; both may be missing
//! - `facts.json`: what differs from [`base`], by name
//! - `plan`: what `--plan` prints, or the error. `UPDATE_EXPECT=1 cargo test -p prepare-root` writes it.

use std::path::Path;

use expect_test::expect_file;
use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::prepare_root_conf::{self, ConfigFile};
use serde_json::{Value, json};

use super::*;
use crate::show;

/// An ordinary machine: systemd, one filesystem, writable, nothing special.
fn base() -> Value {
    json!({
        "situation": "systemd",
        "sysroot": "/sysroot",
        "sysroot-read-only": false,
        "boot-loader-link": true,
        "repo-readonly": false,
        "repo-problem": null,
        "var-marker": false,
        "var-mounted-later": true,
        "init-mounts-later": false,
        "stateroot-var": "directory",
        "dev-mounted": false,
        "disk": 65026,
        "image": { "found": "nothing", "seal": "missing" },
        "signature": null,
        "deployment": {
            "path": format!("ostree/deploy/debian/deploy/{}.0", "a".repeat(64)),
            "device": 65026,
            "inode": 131_077,
            "usr": "directory", "etc": "directory", "sysroot": "directory", "var": "directory", "boot": "directory",
            "usr-etc": "directory", "dev": "directory", "run": "directory", "init": true,
            "hotfix-work": "nothing", "hotfix-upper": "nothing",
        },
    })
}

/// Lays what a case says over the base; a name that the base does not have is a mistake in the case.
fn overlay(base: &mut Value, case: Value, name: &str) {
    match (base, case) {
        (Value::Object(base), Value::Object(case)) => {
            for (key, value) in case {
                let at = base.get_mut(&key).unwrap_or_else(|| panic!("{name}: there is no fact {key:?}"));
                overlay(at, value, name);
            }
        }
        (base, case) => *base = case,
    }
}

fn planned(case: &Path) -> Result<MountPlan, PlanError> {
    let name = case.display().to_string();
    let read = |file: &str| std::fs::read(case.join(file)).ok();
    let file = |file: &str| read(file).map(|bytes| ConfigFile { path: format!("/{file}"), bytes });
    let conf = prepare_root_conf::parse(file("prepare-root.conf").as_ref(), &Vec::from_iter(file("drop-in.conf")));
    assert_eq!(conf.errors, [], "{name}");

    let mut facts = base();
    if let Some(bytes) = read("facts.json") {
        overlay(&mut facts, serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{name}: {e}")), &name);
    }
    let facts: Facts = serde_json::from_value(facts).unwrap_or_else(|e| panic!("{name}: {e}"));

    let cmdline = KernelCommandLine::new(read("cmdline").unwrap_or_else(|| panic!("{name}: no cmdline")));
    let asked_for = cmdline.boot_target().unwrap_or_else(|e| panic!("{name}: {e}"));
    let resolved =
        Resolved { asked_for, recovery: None, init: cmdline.init(), warning: None, by_option: false, counting: None };
    let decision = composefs::decide(&conf.conf, cmdline.composefs().as_deref()).map_err(PlanError::from);
    decision.and_then(|decision| plan(&conf.conf, decision, resolved, &facts))
}

#[test]
fn every_directory_prints_its_plan() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut directories: Vec<_> = std::fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    directories.sort();
    assert!(directories.len() >= 20, "{directories:?}");
    for case in directories {
        let printed = match planned(&case) {
            Ok(plan) => {
                let json = serde_json::to_value(&plan).unwrap();
                json_schemas::require("prepare-root-plan", &json).unwrap_or_else(|e| panic!("{}: {e}", case.display()));
                show::in_words(&plan)
            }
            Err(error) => format!("error: {error}\n"),
        };
        expect_file![case.join("plan")].assert_eq(&printed);
    }
}
