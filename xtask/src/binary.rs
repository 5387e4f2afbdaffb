//! The static binary, as it ships.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::linkage;
use crate::unwinding;
use crate::workspace;

/// A program that ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its name, as a file in `/usr/lib/ostree`.
    pub(crate) name: &'static str,
    /// The crate that it is in.
    package: &'static str,
    /// How large it may be, with glibc. An empty Rust program linked the same way has 1.1 MB.
    limit: u64,
}

/// 1.35 MiB, signatures included: an initramfs carries it.
pub(crate) const PREPARE_ROOT: Program =
    Program { name: "ostree-prepare-root", package: "prepare-root", limit: 1_415_577 };

/// 1.75 MiB: it is in the tree, and in no initramfs. Another compiler makes it some tens of kilobytes larger or smaller.
pub(crate) const FINALIZE_STAGED: Program =
    Program { name: "ostree-finalize-staged", package: "finalize-staged", limit: 1_835_008 };

/// All of them.
pub(crate) const PROGRAMS: [Program; 2] = [PREPARE_ROOT, FINALIZE_STAGED];

/// Static, and at a fixed address: a static-pie binary is 45 KB larger and relocates itself before it starts, for an address
/// layout that nobody attacks in the second that it runs.
///
/// Without the table by which unwinding finds its tables: see [`unwinding`].
const RUSTFLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static -C link-arg=-Wl,--no-eh-frame-hdr";

/// Builds one for this machine's architecture, with the C library that the toolchain has.
pub(crate) fn build(program: Program) -> Result<PathBuf> {
    let host = host_triple()?;
    build_for(&host, program, &[]).with_context(|| format!("building {} for {host}", program.name))
}

/// The finalizer that can be told to leave out what makes it survive a power cut: for the test of that test.
pub(crate) fn build_sabotaged() -> Result<PathBuf> {
    let what = ["--package", "finalize-staged", "--bin", FINALIZE_STAGED.name, "--features", "sabotage"];
    let linked = link(&host_triple()?, "static", &what)?.join(FINALIZE_STAGED.name);
    // Away from where the one that ships is linked: what it stands on is compiled once for both.
    let sabotaged = workspace::root().join("target/static/sabotaged");
    std::fs::create_dir_all(&sabotaged).with_context(|| format!("making {}", sabotaged.display()))?;
    let sabotaged = sabotaged.join(FINALIZE_STAGED.name);
    let new = sabotaged.with_extension("new");
    std::fs::copy(&linked, &new).with_context(|| format!("copying {}", linked.display()))?;
    std::fs::rename(&new, &sabotaged).with_context(|| format!("writing {}", sabotaged.display()))?;
    Ok(sabotaged)
}

/// The program that does the same mounts and nothing else, which the benchmark compares with.
pub(crate) fn build_floor() -> Result<PathBuf> {
    let release = link(&host_triple()?, "static", &["--package", "system", "--example", "floor"])?;
    Ok(release.join("examples/floor"))
}

fn build_for(target: &str, program: Program, further: &[&str]) -> Result<PathBuf> {
    let what = [&["--package", program.package, "--bin", program.name], further].concat();
    let release = link(target, "static", &what)?;
    let linked = release.join(program.name);
    let mut bytes = std::fs::read(&linked).with_context(|| format!("reading {}", linked.display()))?;
    linkage::require_static(&bytes).with_context(|| linked.display().to_string())?;
    unwinding::clear_tables(&mut bytes).with_context(|| linked.display().to_string())?;
    // By a rename: a program that somebody runs cannot be written to.
    let shipped = release.with_file_name(program.name);
    let new = shipped.with_extension("new");
    std::fs::write(&new, bytes).with_context(|| format!("writing {}", new.display()))?;
    std::fs::set_permissions(&new, Permissions::from_mode(0o755)).context("making the program executable")?;
    std::fs::rename(&new, &shipped).with_context(|| format!("writing {}", shipped.display()))?;
    Ok(shipped)
}

/// Prints the sizes; too large is an error.
pub(crate) fn size() -> Result<()> {
    PROGRAMS.into_iter().try_for_each(size_of_one)
}

fn size_of_one(program: Program) -> Result<()> {
    let Program { name, limit, .. } = program;
    let size = size_of(&build(program)?)?;
    println!("{name}: {size} bytes, static; limit {limit}");
    let musl = host_triple()?.replace("-gnu", "-musl");
    if installed_targets()?.contains(&musl) {
        println!("{name}: {} bytes with musl", size_of(&build_for(&musl, program, &[])?)?);
    } else {
        println!("skipped: {name} with musl (the toolchain has no standard library for {musl})");
    }
    ensure!(size <= limit, "{name} is larger than {limit} bytes");
    Ok(())
}

/// Links a target of cargo's statically, below `target/DIRECTORY`; the directory in which it is then.
fn link(target: &str, directory: &str, what: &[&str]) -> Result<PathBuf> {
    // A directory of its own: other flags than those of tests would have cargo build everything anew each time.
    let directory = workspace::root().join("target").join(directory);
    workspace::run(
        workspace::cargo()
            .args(["build", "--quiet", "--release", "--locked"])
            .args(what)
            .args(["--target", target, "--target-dir"])
            .arg(&directory)
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    Ok(directory.join(target).join("release"))
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
