//! Every input that is kept goes through its target.

use std::process::ExitCode;

use fuzz::bounds::Bounded;
use fuzz::corpus;
use fuzz::memory::Counting;
use fuzz::targets::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    let mut tests: Vec<Trial> = TARGETS.iter().map(|target| Trial::test(target.name, move || replay(target))).collect();
    tests.push(Trial::test("every target is in the table of README.md", every_target_is_described));
    tests.push(Trial::test("every directory of inputs has a target", every_directory_has_a_target));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn replay(target: &Target) -> Result<(), Failed> {
    let inputs = corpus::inputs(target)?;
    if inputs.is_empty() {
        return Err("it has no inputs".into());
    }
    for (name, bytes) in inputs {
        let run = || target.run_bounded(&bytes).map_err(|error| error.to_string());
        match std::panic::catch_unwind(run) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(format!("{name}: {error}").into()),
            Err(_) => return Err(format!("{name}: it panics").into()),
        }
    }
    // What no file is, too.
    (target.run)(b"");
    Ok(())
}

fn every_target_is_described() -> Result<(), Failed> {
    let text = include_str!("../README.md");
    match TARGETS.iter().find(|target| !text.contains(&format!("| `{}` |", target.name))) {
        None => Ok(()),
        Some(target) => Err(format!("{} is not in it", target.name).into()),
    }
}

fn every_directory_has_a_target() -> Result<(), Failed> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))? {
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    found.sort();
    let wanted: Vec<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    if found == wanted { Ok(()) } else { Err(format!("{found:?} and {wanted:?}").into()) }
}
