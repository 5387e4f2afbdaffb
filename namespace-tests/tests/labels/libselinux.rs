//! The labels that a guest's own libselinux finds.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qemu_tests::command::run;
use qemu_tests::namespace::Namespace;
use qemu_tests::rootfs::Rootfs;

use crate::questions::Question;

const SOURCE: &str = include_str!("ask.c");

/// Asks the libselinux of `rootfs` with the policy in `files` (`contexts/files`); `with_compiled`: its `.bin` files are there, too.
/// An answer for each question: the label, or `-`.
pub(crate) fn answers(
    rootfs: &Rootfs,
    files: &Path,
    with_compiled: bool,
    questions: &[Question],
) -> Result<Vec<String>> {
    let directory = tempfile::tempdir().context("a directory for questions")?;
    let at = |name: &str| directory.path().join(name);
    fs::write(at("ask.c"), SOURCE).context("writing ask.c")?;
    run(Command::new("cc").args(["-O1", "-o"]).arg(at("ask")).arg(at("ask.c"))).context("compiling ask.c")?;
    let records: Vec<u8> = questions.iter().flat_map(Question::record).collect();
    fs::write(at("questions"), records).context("writing questions")?;
    let remove = if with_compiled { "" } else { "rm -f /tmp/files/*.bin\n" };
    Namespace::of(&rootfs.path()).bound(directory.path(), "/ask").bound(files, "/policy").run(&format!(
        "cp -a /policy /tmp/files\n{remove}/ask/ask /tmp/files/file_contexts </ask/questions >/ask/answers\n"
    ))?;
    let answers = fs::read_to_string(at("answers")).context("reading answers")?;
    let answers: Vec<String> = answers.lines().map(str::to_owned).collect();
    ensure!(answers.len() == questions.len(), "{} answers to {} questions", answers.len(), questions.len());
    Ok(answers)
}
