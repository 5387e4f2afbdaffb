//! `esp assess`: says what this boot is, where units and people look for it.

use std::os::fd::{AsFd, BorrowedFd};

use esp_projection::assessment::{Assessment, State, assess as judge};
use esp_projection::read::variables;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::origin;
use ostree_formats::rollbacks::{Attempt, Rollback};
use ostree_sysroot::Roots;
use system::journal::Journal;
use system::{Context, SystemError, dir};

use super::counted::Counted;
use super::failure::Failure;
use super::history::{self, History, News};
use super::opened::{Locked, NOTHING_TO_DO, Opened, Whose, text};

/// Identifies the message of a rollback in the journal.
const ROLLED_BACK: &str = "0c1f5f1c6a0e4a7a9d1d6f0b7d1a2c59";
const ASSESSMENT: &str = "boot-assessment";
const MARK: &str = "rolled-back";
/// Where what people see at a login is, below `/run`.
const MESSAGES: [(&str, &str); 2] = [("motd.d", "30-ostree-rollback"), ("issue.d", "30-ostree-rollback.issue")];

/// Who counts boots; written down beside the state.
const INITRAMFS: &str = "ostree-prepare-root";

pub(super) fn assess() -> Result<(), Failure> {
    if let Some(opened) = Opened::open("esp assess", Whose::OfTheConfiguration)? {
        let assessment = of(&opened)?;
        let (loader, path) = (opened.projection.loader.as_deref(), &opened.projection.path);
        return say(&opened.locked, &assessment, loader, &format!("is the ESP {path} writable for the boot loader?"));
    }
    if let Some(counted) = Counted::open("esp assess", false)? {
        let why = "is the root filesystem writable? journalctl -b -u ostree-prepare-root";
        return say(&counted.locked, &counted.assess(), Some(INITRAMFS), why);
    }
    log::info!("{NOTHING_TO_DO}");
    Ok(())
}

/// Says it where units and people look. `why_not_counted`: a question, if this boot should have been counted.
fn say(locked: &Locked, assessment: &Assessment, loader: Option<&str>, why_not_counted: &str) -> Result<(), Failure> {
    write(locked, assessment, loader).map_err(text)?;
    match assessment.state {
        State::RolledBack => tell(locked, assessment).map_err(text)?,
        State::NotCounted => log::warn!("this boot could not be counted: {why_not_counted}"),
        State::Bad => {
            log::warn!("this deployment is marked as bad, and boots nevertheless: firstroot esp bless --anyway")
        }
        State::Trial => {
            log::info!("this boot: {}, attempt {} of {}", assessment.state, assessment.attempts, assessment.tries);
            // What is told after a rollback: no reason to fail now.
            if let Err(error) = write_down(locked) {
                log::warn!("{error}");
            }
        }
        _ => log::info!("this boot: {}", assessment.state),
    }
    Ok(())
}

/// Writes down that this boot is one of the attempts.
fn write_down(locked: &Locked) -> Result<(), SystemError> {
    let (deployment, boot) = (locked.sysroot.booted.clone(), history::boot_id(&locked.system)?);
    History::open(locked.system.as_fd())?.attempt(&Attempt { deployment, boot, reason: None })
}

/// Judges the running system by its ESP.
pub(super) fn of(opened: &Opened) -> Result<Assessment, String> {
    let system = opened.locked.system.as_fd();
    let counted = variables::of_loader(system, "LoaderBootCountPath").map_err(text)?;
    let counted_now = opened.projection.loader.as_ref().map(|_| counted.is_some());
    let (list, target) = (&opened.projection.list, &opened.projection.target);
    Ok(judge(list, target, &opened.locked.sysroot.booted, counted_now))
}

fn write(locked: &Locked, assessment: &Assessment, loader: Option<&str>) -> Result<(), SystemError> {
    let version = |path: &DeploymentPath| locked.sysroot.find(path).and_then(|found| found.version.clone());
    let booted = &locked.sysroot.booted;
    let default = assessment.default.as_ref();
    let lines = [
        ("state", assessment.state.to_string()),
        ("booted", format!("/{booted}")),
        ("booted-version", version(booted).unwrap_or_default()),
        ("default", default.map(|path| format!("/{path}")).unwrap_or_default()),
        ("default-version", default.and_then(version).unwrap_or_default()),
        ("rolled-back-from", assessment.from.as_ref().map(|path| format!("/{path}")).unwrap_or_default()),
        ("attempts", assessment.attempts.to_string()),
        ("tries", assessment.tries.to_string()),
        ("entry", assessment.entry.clone().unwrap_or_default()),
        ("loader", loader.unwrap_or_default().to_owned()),
    ];
    let mut content = "[assessment]\n".to_owned();
    for (key, value) in lines {
        content.push_str(&format!("{key}={}\n", system::printable::printable(&value)));
    }
    let run = dir::open_directory(&locked.system, "run/ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(&run, ASSESSMENT, content.as_bytes(), 0o644)
        .context("write", "/run/ostree/boot-assessment")?;
    if assessment.state == State::RolledBack {
        return dir::replace_volatile_file(&run, MARK, b"", 0o644).context("write", "/run/ostree/rolled-back");
    }
    dir::remove_file(&run, MARK).context("remove", "/run/ostree/rolled-back")
}

/// Tells of a rollback; the journal and the history once.
fn tell(locked: &Locked, assessment: &Assessment) -> Result<(), SystemError> {
    let Some(from) = &assessment.from else { return Ok(()) };
    let to = &locked.sysroot.booted;
    let version = |path: &DeploymentPath| locked.sysroot.find(path).and_then(|found| found.version.clone());
    let history = History::open(locked.system.as_fd())?;
    let attempts = history.attempts(from)?;
    let rollback = Rollback {
        time: history::now(),
        from: from.clone(),
        to: to.clone(),
        attempts: assessment.attempts,
        version: version(from),
        source: source(&locked.place.roots, from)?,
        boots: attempts.iter().map(|attempt| attempt.boot.clone()).collect(),
        reason: attempts.into_iter().rev().find_map(|attempt| attempt.reason),
        forgotten: false,
        retried: false,
    };
    let (rollback, is_news) = match history.remember(&rollback)? {
        News::Forgotten => return Ok(()),
        News::Known(known) => (*known, false),
        News::New => (rollback, true),
    };
    let message = system::printable::printable_lines(&message(&rollback, version(to).as_deref())).into_owned();
    for (directory, file) in MESSAGES {
        let run = dir::open_directory(&locked.system, "run").context("open", "/run")?;
        dir::make(&run, directory, 0o755).context("make", format_args!("/run/{directory}"))?;
        let directory_fd = dir::open_directory(&run, directory).context("open", format_args!("/run/{directory}"))?;
        // agetty expands what follows a backslash.
        let text = if directory == "issue.d" { message.replace('\\', "\\\\") } else { message.clone() };
        dir::replace_volatile_file(&directory_fd, file, text.as_bytes(), 0o644)
            .context("write", format_args!("/run/{directory}/{file}"))?;
    }
    if is_news {
        journal(&message, &rollback);
        log::warn!("{}", message.lines().next().unwrap_or_default());
        history.end_attempts()?;
    }
    Ok(())
}

/// Takes back what a login shows.
pub(super) fn take_back_messages(system: BorrowedFd<'_>) -> Result<(), SystemError> {
    for (directory, file) in MESSAGES {
        let path = format!("run/{directory}/{file}");
        dir::remove_file(system, &path).context("remove", format_args!("/{path}"))?;
    }
    Ok(())
}

/// The ref or image that a deployment comes from.
fn source(roots: &Roots, deployment: &DeploymentPath) -> Result<Option<String>, SystemError> {
    let path = deployment.origin_file();
    let read = dir::if_there(dir::read(&roots.sysroot, &path, 1 << 20)).context("read", format_args!("/{path}"))?;
    Ok(read.and_then(|bytes| origin::followed(&bytes)))
}

/// What a person is told: lines of at most 79 columns, if versions are short.
fn message(rollback: &Rollback, version_of_this: Option<&str>) -> String {
    let name = |path: &DeploymentPath, version: Option<&str>| {
        let digits = path.digits();
        version.map_or_else(|| digits.to_owned(), |version| format!("{version} ({digits})"))
    };
    let times = |count: u32| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let Rollback { from, to, attempts, version, boots, reason, .. } = rollback;
    let (what, times) = (name(from, version.as_deref()), times(*attempts));
    let mut text = format!("Rolled back: {what} did not come up, tried {times}.\n");
    text.push_str(&format!("This is {}.\n", name(to, version_of_this)));
    if let Some(reason) = reason {
        text.push_str(&format!("Reason: {reason}\n"));
    }
    let without = usize::try_from(*attempts).unwrap_or(usize::MAX).saturating_sub(boots.len());
    match boots.last() {
        Some(last) => text.push_str(&format!("Last attempt: journalctl -p warning -b {last}\n")),
        None => text.push_str("No attempt came as far as a journal: it ended in kernel, initramfs or /var.\n"),
    }
    if without > 0 && !boots.is_empty() {
        text.push_str(&format!("{without} of the attempts did not come as far as a journal.\n"));
    }
    text.push_str("Try it again: firstroot esp retry\nForget this:  firstroot esp forget\n");
    text
}

fn journal(message: &str, rollback: &Rollback) {
    let sent = Journal::open().is_some_and(|journal| {
        journal.send(&[
            ("MESSAGE", message.lines().next().unwrap_or_default().to_owned()),
            ("MESSAGE_ID", ROLLED_BACK.to_owned()),
            ("PRIORITY", "4".to_owned()),
            ("OSTREE_ROLLED_BACK_FROM", format!("/{}", rollback.from)),
            ("OSTREE_ROLLED_BACK_TO", format!("/{}", rollback.to)),
            ("OSTREE_ATTEMPTS", rollback.attempts.to_string()),
        ])
    });
    if !sent {
        log::warn!("the journal does not take the message of the rollback");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollback(boots: &[&str], reason: Option<&str>) -> Rollback {
        let deployment =
            |digit: char| format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap();
        Rollback {
            time: 0,
            from: deployment('b'),
            to: deployment('a'),
            attempts: 3,
            version: Some("20261127.2".to_owned()),
            source: None,
            boots: boots.iter().map(|boot| (*boot).to_owned()).collect(),
            reason: reason.map(str::to_owned),
            forgotten: false,
            retried: false,
        }
    }

    #[test]
    fn a_person_is_told_what_happened_and_what_to_type_on_a_screen() {
        let boot = "0123456789abcdef0123456789abcdef";
        let told = message(&rollback(&[boot], Some("sshd.service is not active")), Some("20261120.0"));
        assert_eq!(
            told,
            format!(
                "Rolled back: 20261127.2 (bbbbbbbb) did not come up, tried 3 times.\n\
                 This is 20261120.0 (aaaaaaaa).\n\
                 Reason: sshd.service is not active\n\
                 Last attempt: journalctl -p warning -b {boot}\n\
                 2 of the attempts did not come as far as a journal.\n\
                 Try it again: firstroot esp retry\n\
                 Forget this:  firstroot esp forget\n"
            )
        );
        let told = message(&rollback(&[], None), None);
        assert!(told.contains("No attempt came as far as a journal") && !told.contains("journalctl"), "{told}");
        assert!(told.lines().all(|line| line.len() <= 79), "{told}");
    }
}
