//! libFuzzer around the targets. Which of them, says `FIRSTROOT_FUZZ_TARGET`.

#![no_main]

use std::sync::LazyLock;

use fuzz::bounds::Bounded;
use fuzz::memory::Counting;
use fuzz::targets::{self, Target};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FIRSTROOT_FUZZ_TARGET").expect("FIRSTROOT_FUZZ_TARGET names the target");
    targets::named(&name).expect("there is such a target")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = TARGET.run_bounded(bytes) {
        panic!("{error}");
    }
});
