//! The static binary, as it ships.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::linkage;
use crate::workspace;

/// Name of the program.
const PROGRAM: &str = "ostree-prepare-root";

/// 1.25 MiB with glibc. An empty Rust program linked the same way has 1.1 MB.
const LIMIT: u64 = 1_310_720;

/// Static, and at a fixed address: a static-pie binary is 45 KB larger and relocates itself before it starts, for an address
/// layout that nobody attacks in the second that it runs.
const RUSTFLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

/// Builds it for this machine's architecture, with the C library that the toolchain has.
pub(crate) fn build() -> Result<PathBuf> {
    let host = host_triple()?;
    build_for(&host).with_context(|| format!("building {PROGRAM} for {host}"))
}

fn build_for(target: &str) -> Result<PathBuf> {
    // A directory of its own: other flags than those of tests would have cargo build everything anew each time.
    let directory = workspace::root().join("target/static");
    workspace::run(
        workspace::cargo()
            .args(["build", "--quiet", "--release", "--locked", "--package", "prepare-root", "--bin", PROGRAM])
            .args(["--target", target, "--target-dir"])
            .arg(&directory)
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    let binary = directory.join(target).join("release").join(PROGRAM);
    let bytes = std::fs::read(&binary).with_context(|| format!("reading {}", binary.display()))?;
    linkage::require_static(&bytes).with_context(|| binary.display().to_string())?;
    Ok(binary)
}

/// Prints the sizes; too large is an error.
pub(crate) fn size() -> Result<()> {
    let size = size_of(&build()?)?;
    println!("{PROGRAM}: {size} bytes, static; limit {LIMIT}");
    let musl = host_triple()?.replace("-gnu", "-musl");
    if installed_targets()?.contains(&musl) {
        println!("{PROGRAM}: {} bytes with musl", size_of(&build_for(&musl)?)?);
    } else {
        println!("skipped: musl (the toolchain has no standard library for {musl})");
    }
    ensure!(size <= LIMIT, "{PROGRAM} is larger than {LIMIT} bytes");
    Ok(())
}

fn size_of(binary: &Path) -> Result<u64> {
    Ok(binary.metadata().with_context(|| binary.display().to_string())?.len())
}

fn host_triple() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name its host")
}

/// A target whose standard library is there has a directory in the sysroot.
fn installed_targets() -> Result<Vec<String>> {
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let entries = std::fs::read_dir(sysroot.join("lib/rustlib")).context("the toolchain's libraries")?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("rustc").args(arguments).current_dir(workspace::root()).output().context("running rustc")?;
    ensure!(output.status.success(), "rustc {arguments:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
