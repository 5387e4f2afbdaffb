//! `cargo xtask fuzz`: libFuzzer over the targets in `fuzz/`, one after the other.
//!
//! It needs a C++ compiler and nothing else: the flags by which rustc counts coverage are there in a stable toolchain, too.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::workspace::{self, cargo};

/// Of each target, where nobody says how long.
const SECONDS: u64 = 60;
/// No input is longer: what grows with the square of it is seen then, and what is shorter runs more often.
const LONGEST: usize = 16 << 10;
/// What all of it may take, in MiB: a corpus is held in memory.
const MEMORY: u64 = 1024;
/// After so many seconds of one input something hangs. What is only slow the target itself finds.
const TIMEOUT: u64 = 10;

/// The package with libFuzzer in it.
const MANIFEST: &str = "fuzz/libfuzzer/Cargo.toml";

/// A line for each run.
const RUNS: &str = "target/fuzz/runs.tsv";

/// As rustc's own documentation of `-C passes` has it, and cargo-fuzz.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// What shall be done.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// `None`: all targets.
    pub(crate) target: Option<String>,
    /// For each target.
    pub(crate) seconds: Option<u64>,
    /// One input instead.
    pub(crate) input: Option<PathBuf>,
    /// Put into git what reaches something new.
    pub(crate) keep: bool,
}

/// Runs the targets. A find ends it, when all have run, with an error.
pub(crate) fn fuzz(options: &Options) -> Result<()> {
    let all = targets()?;
    let chosen: Vec<&String> = match &options.target {
        None => all.iter().collect(),
        Some(name) => vec![all.get(name).with_context(|| format!("there is no target {name:?}; there are {all:?}"))?],
    };
    let program = build()?;
    if let Some(input) = &options.input {
        let [target] = chosen.as_slice() else { bail!("--input needs a TARGET") };
        return one_input(&program, target, input);
    }
    if options.keep {
        return chosen.iter().try_for_each(|target| keep(&program, target));
    }
    let mut finds = Vec::new();
    for target in chosen {
        finds.extend(run(&program, target, options.seconds.unwrap_or(SECONDS))?);
    }
    println!(
        "\nnew inputs are in target/fuzz; `cargo xtask fuzz [TARGET] --keep` adds those that reach new code to fuzz/corpus"
    );
    ensure!(finds.is_empty(), "{} finds:\n{}", finds.len(), finds.join("\n"));
    Ok(())
}

/// Each has a directory of inputs.
fn targets() -> Result<BTreeSet<String>> {
    let directory = workspace::root().join("fuzz/corpus");
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("listing {}", directory.display()))? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// Checks that the fuzzer, which is outside of the workspace, has a lock file that fits the workspace as it is.
pub(crate) fn check_lock_file() -> Result<()> {
    let mut command = cargo();
    command.args(["metadata", "--quiet", "--locked", "--format-version", "1", "--manifest-path", MANIFEST]);
    workspace::run(command.stdout(Stdio::null())).with_context(|| {
        format!(
            "the lock file beside {MANIFEST} is out of date; type: cargo metadata --manifest-path {MANIFEST} >/dev/null"
        )
    })
}

fn build() -> Result<PathBuf> {
    let host = host()?;
    let target_directory = workspace::root().join("target/fuzz/build");
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--release", "--manifest-path", MANIFEST]);
    // With --target the flags are not for build scripts.
    command.args(["--target", &host]).arg("--target-dir").arg(&target_directory);
    command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    workspace::run(&mut command)?;
    Ok(target_directory.join(host).join("release/fuzz-libfuzzer"))
}

fn host() -> Result<String> {
    let output =
        Command::new("rustc").args(["-vV"]).current_dir(workspace::root()).output().context("running rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    Ok(host.to_owned())
}

/// Where what is not in git is.
fn place(target: &str, what: &str) -> Result<PathBuf> {
    let place = workspace::root().join("target/fuzz").join(what).join(target);
    fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    Ok(place)
}

fn in_git(target: &str) -> PathBuf {
    workspace::root().join("fuzz/corpus").join(target)
}

/// libFuzzer for one target.
fn libfuzzer(program: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).env("FIRSTROOT_FUZZ_TARGET", target).env("RUST_BACKTRACE", "0");
    command.args([format!("-max_len={LONGEST}"), format!("-rss_limit_mb={MEMORY}"), format!("-timeout={TIMEOUT}")]);
    command
}

/// Runs one target, prints a line about it, and returns what was found.
fn run(program: &Path, target: &str, seconds: u64) -> Result<Option<String>> {
    let (corpus, finds) = (place(target, "corpus")?, place(target, "finds")?);
    let before = count(&corpus)?;
    let mut command = libfuzzer(program, target);
    command.args([
        format!("-max_total_time={seconds}"),
        "-print_final_stats=1".to_owned(),
        "-use_value_profile=1".to_owned(),
    ]);
    let finds = finds.strip_prefix(workspace::root()).unwrap_or(&finds);
    command.arg(format!("-artifact_prefix={}/", finds.display()));
    command.arg(format!("-dict={}", workspace::root().join("fuzz/words.dict").display()));
    command.arg(&corpus).arg(in_git(target));
    let begin = cpu_seconds()?;
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("running {command:?}"))?;
    let cpu = cpu_seconds()? - begin;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let coverage = log.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split(' ').next());
    let new = count(&corpus)?.saturating_sub(before);
    let (executions, coverage) = (executions.unwrap_or("?").trim(), coverage.unwrap_or("?"));
    println!(
        "{target:20} {executions:>12} executions, {coverage:>5} places reached, {new:>5} new inputs, {cpu:.0} s of CPU"
    );
    let found = u32::from(!output.status.success());
    record(&format!("{target}\t{cpu:.1}\t{executions}\t{coverage}\t{found}\n"))?;
    if output.status.success() {
        return Ok(None);
    }
    let written =
        log.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path.to_owned()));
    let Some(file) = written else { bail!("{target} ended with {}:\n{log}", output.status) };
    // A panic's place and its message, or what libFuzzer says.
    let is_reason = |line: &&str| line.contains("panicked at") || line.starts_with("==");
    let why: Vec<&str> = log.lines().skip_while(|line| !is_reason(line)).take(2).collect();
    println!("{target:20} FOUND {file}\n    {}", why.join("\n    "));
    Ok(Some(format!("    cargo xtask fuzz {target} --input {file}")))
}

/// What all programs took that have ended.
fn cpu_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6);
    Ok(seconds.iter().sum())
}

/// Adds a line to a table of all runs: target, seconds of CPU, executions, places reached, finds.
fn record(line: &str) -> Result<()> {
    let path = workspace::root().join(RUNS);
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}

fn count(directory: &Path) -> Result<usize> {
    Ok(fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?.count())
}

/// One input, whose panic is on the terminal.
fn one_input(program: &Path, target: &str, input: &Path) -> Result<()> {
    let input = fs::canonicalize(input).with_context(|| format!("looking for {}", input.display()))?;
    workspace::run(libfuzzer(program, target).env("RUST_BACKTRACE", "1").arg(input))
}

/// Puts into git what of the inputs outside of it reaches what no input in git does.
fn keep(program: &Path, target: &str) -> Result<()> {
    let (from, to) = (place(target, "corpus")?, in_git(target));
    let before = count(&to)?;
    let mut command = libfuzzer(program, target);
    // The first directory is added to. How often a place is reached makes no difference: those would be thousands of files.
    command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(&to).arg(&from).stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{target}: {}", String::from_utf8_lossy(&output.stderr));
    println!("{target:20} {} inputs kept", count(&to)?.saturating_sub(before));
    Ok(())
}
