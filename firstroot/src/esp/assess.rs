//! `esp assess`: says what this boot is, where units and people look for it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use esp_projection::assessment::{Assessment, State, assess as judge};
use esp_projection::read::partition;
use ostree_formats::deployment::DeploymentPath;
use rustix::fs::OFlags;
use system::journal::Journal;
use system::{Context, SystemError, dir};

use super::failure::Failure;
use super::opened::{Opened, Whose, text};

/// Identifies the message of a rollback in the journal.
const ROLLED_BACK: &str = "0c1f5f1c6a0e4a7a9d1d6f0b7d1a2c59";
const ASSESSMENT: &str = "boot-assessment";
const MARK: &str = "rolled-back";
/// Where what people see at a login is, below `/run`.
const MESSAGES: [(&str, &str); 2] = [("motd.d", "30-ostree-rollback"), ("issue.d", "30-ostree-rollback.issue")];
const HISTORY: &str = "var/lib/ostree-boot";

pub(super) fn assess() -> Result<(), Failure> {
    let Some(opened) = Opened::open("esp assess", Whose::OfTheConfiguration)? else { return Ok(()) };
    let assessment = of(&opened)?;
    write(&opened, &assessment).map_err(text)?;
    match assessment.state {
        State::RolledBack => tell(&opened, &assessment).map_err(text)?,
        State::NotCounted => log::warn!(
            "the boot loader could not count this boot: is the ESP {} writable for it?",
            opened.projection.path
        ),
        State::Bad => {
            log::warn!("this deployment is marked as bad, and boots nevertheless: firstroot esp bless --anyway")
        }
        _ => log::info!("this boot: {}", assessment.state),
    }
    Ok(())
}

/// Judges the running system.
pub(super) fn of(opened: &Opened) -> Result<Assessment, String> {
    let system = opened.system.as_fd();
    let counted = partition::variable(system, "LoaderBootCountPath").map_err(text)?;
    let counted_now = opened.projection.loader.as_ref().map(|_| counted.is_some());
    let (list, target) = (&opened.projection.list, &opened.projection.target);
    Ok(judge(list, target, &opened.sysroot.booted, counted_now))
}

fn write(opened: &Opened, assessment: &Assessment) -> Result<(), SystemError> {
    let version = |path: &DeploymentPath| opened.sysroot.find(path).and_then(|found| found.version.clone());
    let booted = &opened.sysroot.booted;
    let default = assessment.default.as_ref();
    let lines = [
        ("state", assessment.state.to_string()),
        ("booted", format!("/{booted}")),
        ("booted-version", version(booted).unwrap_or_default()),
        ("default", default.map(|path| format!("/{path}")).unwrap_or_default()),
        ("default-version", default.and_then(version).unwrap_or_default()),
        ("attempts", assessment.attempts.to_string()),
        ("tries", assessment.tries.to_string()),
        ("entry", assessment.entry.clone().unwrap_or_default()),
        ("loader", opened.projection.loader.clone().unwrap_or_default()),
    ];
    let mut content = "[assessment]\n".to_owned();
    for (key, value) in lines {
        content.push_str(&format!("{key}={}\n", system::printable::printable(&value)));
    }
    let run = dir::open_directory(&opened.system, "run/ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(&run, ASSESSMENT, content.as_bytes(), 0o644)
        .context("write", "/run/ostree/boot-assessment")?;
    if assessment.state == State::RolledBack {
        return dir::replace_volatile_file(&run, MARK, b"", 0o644).context("write", "/run/ostree/rolled-back");
    }
    dir::remove_file(&run, MARK).context("remove", "/run/ostree/rolled-back")
}

/// Tells of a rollback, once.
fn tell(opened: &Opened, assessment: &Assessment) -> Result<(), SystemError> {
    let Some(from) = &assessment.default else { return Ok(()) };
    let to = &opened.sysroot.booted;
    let name = |path: &DeploymentPath| {
        let version = opened.sysroot.find(path).and_then(|found| found.version.clone()).unwrap_or_default();
        let digits: String = path.id.commit.as_str().chars().take(8).collect();
        if version.is_empty() { digits } else { format!("{version} ({digits})") }
    };
    let times = if assessment.attempts == 1 { "once".to_owned() } else { format!("{} times", assessment.attempts) };
    let message = format!(
        "Rolled back: {} was tried {times} and did not come up; this is {}.\n\
         Last attempt: journalctl -b -1 -p warning\nTry again: firstroot esp retry\n",
        name(from),
        name(to)
    );
    let message = system::printable::printable_lines(&message).into_owned();
    for (directory, file) in MESSAGES {
        let run = dir::open_directory(&opened.system, "run").context("open", "/run")?;
        dir::make(&run, directory, 0o755).context("make", format_args!("/run/{directory}"))?;
        let directory_fd = dir::open_directory(&run, directory).context("open", format_args!("/run/{directory}"))?;
        // agetty expands what follows a backslash.
        let text = if directory == "issue.d" { message.replace('\\', "\\\\") } else { message.clone() };
        dir::replace_volatile_file(&directory_fd, file, text.as_bytes(), 0o644)
            .context("write", format_args!("/run/{directory}/{file}"))?;
    }
    if remember(opened.system.as_fd(), from, to, assessment.attempts)? {
        journal(&message, from, to, assessment.attempts);
        log::warn!("{}", message.lines().next().unwrap_or_default());
    }
    Ok(())
}

fn journal(message: &str, from: &DeploymentPath, to: &DeploymentPath, attempts: u32) {
    let sent = Journal::open().is_some_and(|journal| {
        journal.send(&[
            ("MESSAGE", message.lines().next().unwrap_or_default().to_owned()),
            ("MESSAGE_ID", ROLLED_BACK.to_owned()),
            ("PRIORITY", "4".to_owned()),
            ("OSTREE_ROLLED_BACK_FROM", format!("/{from}")),
            ("OSTREE_ROLLED_BACK_TO", format!("/{to}")),
            ("OSTREE_ATTEMPTS", attempts.to_string()),
        ])
    });
    if !sent {
        log::warn!("the journal does not take the message of the rollback");
    }
}

/// Adds a line to the history, unless its last one says the same. Returns whether it is news.
fn remember(
    system: BorrowedFd<'_>,
    from: &DeploymentPath,
    to: &DeploymentPath,
    attempts: u32,
) -> Result<bool, SystemError> {
    const SHOWN: &str = "/var/lib/ostree-boot/rollbacks";
    const LIMIT: u64 = 1 << 20;
    dir::make(system, HISTORY, 0o755).context("make", "/var/lib/ostree-boot")?;
    // Not only as a place: it is synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = dir::open(system, HISTORY, flags).context("open", "/var/lib/ostree-boot")?;
    let old =
        dir::if_there(dir::read_no_link(&directory, "rollbacks", LIMIT)).context("read", SHOWN)?.unwrap_or_default();
    let line = format!("from=/{from} to=/{to} attempts={attempts}");
    let old = String::from_utf8_lossy(&old);
    if old.lines().last().is_some_and(|last| last.ends_with(&line)) {
        return Ok(false);
    }
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    // A file that grew for ever would one day be too large to be read.
    let kept: Vec<&str> = old.lines().rev().take(99).collect();
    let mut text: String = kept.iter().rev().flat_map(|line| [*line, "\n"]).collect();
    text.push_str(&format!("time={time} {line}\n"));
    dir::replace_file(&directory, "rollbacks", text.as_bytes(), 0o644).context("write", SHOWN)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_is_news_once_and_the_history_does_not_grow_for_ever() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib")).unwrap();
        let system = dir::open_root(root.path()).unwrap();
        let deployment = |number: u32| -> DeploymentPath {
            format!("ostree/deploy/os/deploy/{}.{number}", "a".repeat(64)).parse().unwrap()
        };
        let news = |from: u32, attempts| remember(system.as_fd(), &deployment(from), &deployment(0), attempts).unwrap();
        assert!(news(1, 3));
        assert!(!news(1, 3), "another boot into the same");
        assert!(news(1, 2) && news(2, 3));
        for from in 3..150 {
            assert!(news(from, 3));
        }
        let text = std::fs::read_to_string(root.path().join("var/lib/ostree-boot/rollbacks")).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(last.ends_with(&format!(" from=/{} to=/{} attempts=3", deployment(149), deployment(0))), "{last}");
    }
}
