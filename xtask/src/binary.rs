//! The static binaries, as they ship: `make` builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// A program that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its name, as a file in `/usr/lib/ostree`.
    pub(crate) name: &'static str,
    /// The crate that it is in.
    pub(crate) package: &'static str,
    /// How large it may be, with glibc. An empty Rust program linked the same way has 1.1 MB.
    ///
    /// About 20 KB more than it has, so that another compiler does not break the build: rustc 1.97 makes the programs 6 and 9 KB
    /// smaller than 1.95. A dependency that has to be argued about does not fit into it. What grows for a reason takes the limit along.
    limit: u64,
}

/// 1.3 MiB, signatures included: an initramfs carries it. 42 KB of it are the report that fits a screen, and the choice of a deployment.
pub(crate) const PREPARE_ROOT: Program =
    Program { name: "ostree-prepare-root", package: "prepare-root", limit: 1_363_148 };

/// 1.72 MiB: it is in the tree, and in no initramfs. 45 KB of it are the generator, the remounts and the state overlays, each of which
/// would have 1.1 MB alone.
pub(crate) const FINALIZE_STAGED: Program =
    Program { name: "ostree-finalize-staged", package: "finalize-staged", limit: 2_018_508 };

/// 2 MiB, with what unpacks an initramfs: it is in the tree, and in no initramfs.
pub(crate) const FIRSTROOT: Program = Program { name: "firstroot", package: "firstroot", limit: 2_506_096 };

/// All of them.
pub(crate) const PROGRAMS: [Program; 3] = [PREPARE_ROOT, FINALIZE_STAGED, FIRSTROOT];

/// Where they are built, below `target`. A directory of its own: other flags than those of tests would have cargo build everything
/// anew each time.
const DIRECTORY: &str = "static";

/// Where those are that were taken out of packages, below `target`.
const TAKEN: &str = "packaged";

/// Builds all of them for this machine's architecture, with the C library that the toolchain has; the one that is wanted.
pub(crate) fn build(program: Program) -> Result<PathBuf> {
    build_for(&host_triple()?, program)
}

/// The one that was taken out of the packages last: see [`crate::package::package_and_take_programs`].
pub(crate) fn taken(program: Program) -> Result<PathBuf> {
    Ok(directory_of_taken()?.join(program.name))
}

/// Where they are, and in `sabotaged` and beside them what tests run and nobody ships.
pub(crate) fn directory_of_taken() -> Result<PathBuf> {
    Ok(directory(TAKEN).join(host_triple()?))
}

/// The finalizer that can be told to leave out what makes it survive a power cut: for the test of that test.
pub(crate) fn build_sabotaged() -> Result<PathBuf> {
    const DIRECTORY: &str = "sabotaged";
    let Program { name, .. } = FINALIZE_STAGED;
    let variables = [format!("PROGRAMS={name}"), "FEATURES=finalize-staged/sabotage".to_owned()];
    workspace::run(make(DIRECTORY).args(variables))?;
    Ok(directory(DIRECTORY).join(host_triple()?).join(name))
}

/// The program that does the same mounts and nothing else, which the benchmark compares with.
pub(crate) fn build_floor() -> Result<PathBuf> {
    Ok(build_unshipped(&["--package", "system", "--example", "floor"])?.join("examples/floor"))
}

/// The program that guests run in tests of power cuts of an ESP; and the same with sabotages.
pub(crate) fn build_esp_power_cuts() -> Result<[PathBuf; 2]> {
    const NAME: &str = "esp-power-cuts";
    let build = |features: &[&str], copy: &str| {
        let built = build_unshipped(&[&["--package", NAME], features].concat())?.join(NAME);
        // Both have one name there.
        let copy = directory(DIRECTORY).join(copy);
        std::fs::copy(&built, &copy).with_context(|| format!("copying {}", built.display()))?;
        Ok::<_, anyhow::Error>(copy)
    };
    Ok([build(&[], NAME)?, build(&["--features", "sabotage"], "esp-power-cuts-sabotaged")?])
}

/// Builds something with the flags of what ships, beside it; the directory that it is in.
fn build_unshipped(arguments: &[&str]) -> Result<PathBuf> {
    let output = make(DIRECTORY).arg("flags").output().context("running make")?;
    ensure!(output.status.success(), "make flags: {}", String::from_utf8_lossy(&output.stderr));
    let flags = String::from_utf8(output.stdout)?.lines().collect::<Vec<_>>().join("\x1f");
    let host = host_triple()?;
    workspace::run(
        workspace::cargo()
            .args(["build", "--quiet", "--release", "--locked"])
            .args(arguments)
            .args(["--target", &host, "--target-dir"])
            .arg(directory(DIRECTORY))
            .env("CARGO_ENCODED_RUSTFLAGS", flags),
    )?;
    Ok(directory(DIRECTORY).join(host).join("release"))
}

fn build_for(target: &str, program: Program) -> Result<PathBuf> {
    workspace::run(make(DIRECTORY).arg(format!("TARGET={target}")))
        .with_context(|| format!("building the programs for {target}"))?;
    Ok(directory(DIRECTORY).join(target).join(program.name))
}

/// `make all`, to which further targets and variables can be added.
pub(crate) fn make_all() -> Command {
    let mut command = make(DIRECTORY);
    command.arg("all");
    command
}

/// `make` for those that were taken out of packages.
pub(crate) fn make_of_taken() -> Command {
    make(TAKEN)
}

fn make(target_directory: &str) -> Command {
    let mut command = Command::new("make");
    command.current_dir(workspace::root()).args(["--no-print-directory", "CARGOFLAGS=--locked --quiet"]);
    let mut variable = std::ffi::OsString::from("CARGO_TARGET_DIR=");
    variable.push(directory(target_directory));
    command.arg(variable);
    command
}

fn directory(name: &str) -> PathBuf {
    workspace::root().join("target").join(name)
}

/// Prints the sizes; too large is an error.
pub(crate) fn size() -> Result<()> {
    PROGRAMS.into_iter().try_for_each(size_of_one)
}

fn size_of_one(program: Program) -> Result<()> {
    let name = program.name;
    fits(program, &build(program)?)?;
    let musl = host_triple()?.replace("-gnu", "-musl");
    if installed_targets()?.contains(&musl) {
        println!("{name}: {} bytes with musl", size_of(&build_for(&musl, program)?)?);
    } else {
        println!("skipped: {name} with musl (the toolchain has no standard library for {musl})");
    }
    Ok(())
}

/// Prints how large the program is at `path`; too large is an error.
pub(crate) fn fits(program: Program, path: &Path) -> Result<()> {
    let Program { name, limit, .. } = program;
    let size = size_of(path)?;
    println!("{name}: {size} bytes, static; limit {limit}");
    ensure!(size <= limit, "{name} is larger than {limit} bytes");
    Ok(())
}

fn size_of(binary: &Path) -> Result<u64> {
    Ok(binary.metadata().with_context(|| binary.display().to_string())?.len())
}

pub(crate) fn host_triple() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not name its host")
}

/// A target whose standard library is there has a directory in the sysroot.
fn installed_targets() -> Result<Vec<String>> {
    let entries = std::fs::read_dir(toolchain()?.join("lib/rustlib")).context("the toolchain's libraries")?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Where the compiler is, with cargo and the standard library.
pub(crate) fn toolchain() -> Result<PathBuf> {
    Ok(PathBuf::from(rustc(&["--print", "sysroot"])?.trim()))
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("rustc").args(arguments).current_dir(workspace::root()).output().context("running rustc")?;
    ensure!(output.status.success(), "rustc {arguments:?} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
