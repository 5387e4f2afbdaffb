//! No input of 256 KiB takes a parser more than a second, or many times its size of memory.

mod variants;
mod worst;

use std::process::ExitCode;

use fuzz::bounds::Bounded;
use fuzz::memory::Counting;
use fuzz::targets::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Large enough to tell a time that is quadratic from one that is not. A quarter of the largest files that are read.
const SIZE: usize = 256 << 10;

fn main() -> ExitCode {
    let mut tests: Vec<Trial> =
        TARGETS.iter().map(|target| Trial::test(target.name, move || is_bounded(target))).collect();
    tests.push(Trial::test("children that overlap are refused", variants::overlap_is_refused));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

fn is_bounded(target: &Target) -> Result<(), Failed> {
    let verbose = std::env::var_os("FIRSTROOT_FUZZ_VERBOSE").is_some();
    for (name, bytes) in worst::inputs(target)? {
        let taken = target.run_bounded(&bytes).map_err(|error| format!("{name}: {error}"))?;
        if verbose {
            let times = taken.memory / bytes.len().max(1);
            println!("{}: {name}: {:?}, {times} times the memory", target.name, taken.time);
        }
    }
    Ok(())
}
