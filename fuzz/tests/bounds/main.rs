//! No input of 256 KiB takes a parser more than a second, or many times its size of memory.

mod variants;
mod worst;

use std::process::ExitCode;

use fuzz::bounds::Bounded;
use fuzz::memory::{self, Counting};
use fuzz::targets::{TARGETS, Target};
use libtest_mimic::{Arguments, Failed, Trial};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Large enough to tell a time that is quadratic from one that is not. A quarter of the largest files that are read.
const SIZE: usize = 256 << 10;

fn main() -> ExitCode {
    let mut tests: Vec<Trial> =
        TARGETS.iter().map(|target| Trial::test(target.name, move || is_bounded(target))).collect();
    tests.push(Trial::test("no dictionary of the size in a header is allocated", dictionaries_are_bounded));
    tests.push(Trial::test("children that overlap are refused", variants::overlap_is_refused));
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// The largest that is accepted has 128 MiB.
fn dictionaries_are_bounded() -> Result<(), Failed> {
    const LIMIT: usize = 4 << 20;
    let zeros = [0; 20];
    // A dictionary of 4 GiB, in a header with its checksum, and a chunk of one byte; windows of 2 GiB; a frame of one segment.
    let xz: &[u8] = b"\xfd7zXZ\0\0\0\xff\x12\xd9\x41\x02\0\x21\x01\x28\0\0\0\xe6\xa0\x11\xb3\x01\0\0x";
    let window = [b"\x28\xb5\x2f\xfd\x00\xa8".as_slice(), &zeros].concat();
    let segment = [b"\x28\xb5\x2f\xfd\xe0".as_slice(), &(2_u64 << 30).to_le_bytes(), &zeros].concat();
    for (name, bytes) in [("xz", xz), ("zstd", &window), ("zstd", &segment)] {
        let mut result = Ok(());
        let taken = memory::peak(|| result = firstroot::fuzzing::initramfs(bytes));
        if taken > LIMIT {
            return Err(format!("{name}: {taken} bytes for {} bytes", bytes.len()).into());
        }
        match result {
            Err((error, false)) if error.contains("a dictionary of more than 128 MiB") => {}
            other => return Err(format!("{name}: {other:?}").into()),
        }
    }
    Ok(())
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
