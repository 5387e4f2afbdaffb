//! Ours beside the library of each guest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use file_contexts::{FileContexts, Texts};
use namespace_tests::every_call_is_wanted;
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::host;
use qemu_tests::policies::Policies;
use qemu_tests::rootfs::{self, Rootfs};

use crate::libselinux;
use crate::questions::{self, Question};

/// Fewer would be a test that has lost its paths.
const AT_LEAST: usize = 100_000;
/// Of differences.
const SHOWN: usize = 20;

/// A file of the policy, if it is there.
fn text(files: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(files.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {name}")),
    }
}

/// What is asked, and what ours answers.
struct Asked {
    questions: Vec<Question>,
    answers: Vec<String>,
    named_twice: BTreeSet<Vec<u8>>,
}

fn ask_ours(files: &Path, tree: &Path) -> Result<Asked> {
    let contexts = text(files, "file_contexts")?.context("there is no file_contexts")?;
    let [homedirs, local, subs, subs_dist] =
        ["homedirs", "local", "subs", "subs_dist"].map(|name| text(files, &format!("file_contexts.{name}")));
    let (homedirs, local, subs, subs_dist) = (homedirs?, local?, subs?, subs_dist?);
    let mut questions = BTreeSet::new();
    questions::of_tree(tree, &mut questions)?;
    questions::long(&mut questions);
    let as_text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let (lines, homes) = (String::from_utf8_lossy(&contexts).into_owned(), as_text(&homedirs));
    let substitutions = as_text(&subs_dist);
    for text in [&lines, &homes, &substitutions] {
        questions::of_lines(text, &mut questions);
    }
    let named_twice = questions::named_twice(&[&lines, &homes], &substitutions);
    let found = FileContexts::parse(Texts {
        contexts: &contexts,
        homedirs: homedirs.as_deref(),
        local: local.as_deref(),
        subs: subs.as_deref(),
        subs_dist: subs_dist.as_deref(),
    })?;
    let label = |question: &Question| found.label(&question.path, question.kind()).unwrap_or("-").to_owned();
    let answers = questions.iter().map(label).collect();
    ensure!(found.broken().is_empty(), "{}", found.broken().join("\n"));
    Ok(Asked { questions: questions.into_iter().collect(), answers, named_twice })
}

/// Every label of this policy, by the newest library, with and without the compiled files; with all of them, if every call is wanted.
pub(crate) fn the_labels_are_the_same(guest: Guest, policy: &str) -> Result<()> {
    host::ensure_ready()?;
    let cache = Cache::open()?;
    let files = Policies::of(guest, &cache)?.files(policy);
    let asked = ask_ours(&files, &Rootfs::of(guest, &cache)?.path())?;
    ensure!(asked.questions.len() >= AT_LEAST, "only {} paths", asked.questions.len());
    let older = if every_call_is_wanted() { &[Guest::Bookworm, Guest::Trixie][..] } else { &[] };
    for of in older.iter().copied().chain([Guest::Forky]) {
        if let Some(reason) = rootfs::why_not_installable(of) {
            println!("not beside the library of {of}: {reason}");
            continue;
        }
        let rootfs = Rootfs::of(of, &cache)?;
        for with_compiled in [true, false] {
            let theirs = libselinux::answers(&rootfs, &files, with_compiled, &asked.questions)
                .with_context(|| format!("asking the library of {of}"))?;
            let compiled = if with_compiled { "with" } else { "without" };
            same(&asked, &theirs, of).with_context(|| format!("libselinux of {of}, {compiled} compiled files"))?;
        }
    }
    println!("{policy} of {guest}: {} labels are the same", asked.questions.len());
    Ok(())
}

fn same(asked: &Asked, theirs: &[String], of: Guest) -> Result<()> {
    let all = asked.questions.iter().zip(asked.answers.iter().zip(theirs));
    let different: Vec<String> = all
        .filter(|(question, (ours, theirs))| ours != theirs && question.is_certain(of, &asked.named_twice))
        .map(|(question, (ours, theirs))| format!("{question}: ours {ours}, libselinux's {theirs}"))
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = different.iter().take(SHOWN).map(String::as_str).collect();
    Err(anyhow!("{} of {} labels differ\n{}", different.len(), theirs.len(), shown.join("\n")))
}
