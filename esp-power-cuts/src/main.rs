//! What a guest runs in the tests of power cuts: lists of deployments are projected onto a FAT disk, one after the other. The machine
//! that runs the guest logs every write. A mark in the log says where each run begins and where it has returned.
//!
//! ```text
//! esp-power-cuts PROGRAM DEVICE
//! ```
//!
//! `PROGRAM` is who writes: ours, ours with a sabotage, or a sequence of system calls of another project. Never shipped.

mod bad;
mod marks;
mod others;
mod scenarios;
mod target;

use anyhow::{Context, Result, bail};

use marks::Marks;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, device] = arguments.as_slice() else { bail!("esp-power-cuts PROGRAM DEVICE") };
    if program == bad::WRITES_AND_DIES {
        return bad::write_and_die(device);
    }
    let marks = Marks::on(device)?;
    match program.as_str() {
        "bless-boot" => others::bless_boot(device, &marks),
        "exchange" => others::exchange(device, &marks),
        "kernel-install" => others::kernel_install(device, &marks),
        again if again.starts_with("again-") => scenarios::run_again(again, device),
        bad if bad.starts_with("bad-") => bad::run(bad, device, &marks),
        ours => scenarios::run(ours, device, &marks),
    }
    .with_context(|| format!("{program} on {device}"))?;
    marks.finish()
}
