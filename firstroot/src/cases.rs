//! A directory in `tests/cases` is a case: `disk` is the state of a system (see [`disk_text`]), and `status`, `check`, `status.json` and
//! `check.json` are what must come out. `UPDATE_EXPECT=1` rewrites them.

use std::path::{Path, PathBuf};

use disk_text::Disk;
use expect_test::expect_file;

use crate::place::Place;
use crate::{check, status};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn every_answer_is_as_written() {
    // What cannot be seen without root is part of each text.
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: every_answer_is_as_written (needs root)");
        return;
    }
    let mut names: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() >= 10, "{} cases", names.len());
    for name in names {
        let case = directory().join(&name);
        let disk = Disk::read(&directory(), name.to_str().unwrap());
        let root = disk.make();
        if disk.has_staged() {
            std::fs::create_dir_all(root.path().join("run/ostree")).unwrap();
            std::fs::write(root.path().join("run/ostree/staged-deployment"), disk.staged().to_bytes()).unwrap();
        }
        let place = Place::open(Some(root.path()), "check").unwrap();
        let here = |text: &str| disk.shortened(text).replace(&root.path().display().to_string(), "ROOT");
        // The journal is this machine's.
        let state = status::read(&place, false);
        let checked = check::check(&place);
        let (state_json, check_json) = (serde_json::to_value(&state).unwrap(), serde_json::to_value(&checked).unwrap());
        json_schemas::require("firstroot-status", &state_json).unwrap();
        json_schemas::require("firstroot-check", &check_json).unwrap();
        let pretty = |value| here(&(serde_json::to_string_pretty(value).unwrap() + "\n"));
        expect_file![case.join("status")].assert_eq(&here(&status::as_text(&state)));
        expect_file![case.join("check")].assert_eq(&here(&check::as_text(&checked)));
        expect_file![case.join("status.json")].assert_eq(&pretty(&state_json));
        expect_file![case.join("check.json")].assert_eq(&pretty(&check_json));
    }
}
