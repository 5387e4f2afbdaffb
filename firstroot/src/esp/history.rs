//! `/var/lib/ostree-boot`: what was rolled back, and the boots of what is on trial.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::rollbacks::{Attempt, DIRECTORY, MOST, Rollback};
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

const ROLLBACKS: &str = "rollbacks";
const ATTEMPTS: &str = "attempts";
const LIMIT: u64 = 1 << 20;

/// What a rollback is for who is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// It was not known yet.
    New,
    /// An earlier boot has told of it, and knew this.
    Known(Box<Rollback>),
    /// A person does not want to be told of it any more.
    Forgotten,
}

/// The directory.
#[derive(Debug)]
pub(super) struct History(OwnedFd);

impl History {
    /// Makes it, if it does not exist. `system` is the root directory.
    pub(super) fn open(system: BorrowedFd<'_>) -> Result<Self, SystemError> {
        let shown = format_args!("/{DIRECTORY}");
        dir::make(system, DIRECTORY, 0o755).context("make", shown)?;
        // Not only as a place: it is synced.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok(Self(dir::open(system, DIRECTORY, flags).context("open", shown)?))
    }

    /// Adds a rollback, unless the last one is the same.
    pub(super) fn remember(&self, rollback: &Rollback) -> Result<News, SystemError> {
        let mut lines = self.lines(ROLLBACKS)?;
        let last = lines.last().and_then(|last| last.parse::<Rollback>().ok());
        if let Some(last) = last.filter(|last| last.is_same(rollback) && !last.retried) {
            return Ok(if last.forgotten { News::Forgotten } else { News::Known(Box::new(last)) });
        }
        lines.push(rollback.to_string());
        self.write(ROLLBACKS, &lines)?;
        Ok(News::New)
    }

    /// Marks the rollbacks of commits that begin with `digits`; without digits the last one. Returns those that were not marked.
    pub(super) fn forget(&self, digits: Option<&str>) -> Result<Vec<Rollback>, SystemError> {
        let mut lines = self.lines(ROLLBACKS)?;
        let mut forgotten = Vec::new();
        for line in lines.iter_mut().rev() {
            let Ok(rollback) = line.parse::<Rollback>() else { continue };
            let is_meant = match digits {
                Some(digits) => rollback.from.id.commit.as_str().starts_with(digits),
                None => forgotten.is_empty(),
            };
            if is_meant && !rollback.forgotten {
                let rollback = Rollback { forgotten: true, ..rollback };
                *line = rollback.to_string();
                forgotten.push(rollback);
            }
        }
        if !forgotten.is_empty() {
            self.write(ROLLBACKS, &lines)?;
        }
        Ok(forgotten)
    }

    /// A deployment is tried again: what was, counts no more.
    pub(super) fn retry(&self, deployment: &DeploymentPath) -> Result<(), SystemError> {
        let mut lines = self.lines(ROLLBACKS)?;
        let mut is_changed = false;
        for line in &mut lines {
            let Ok(rollback) = line.parse::<Rollback>() else { continue };
            if rollback.from == *deployment && !rollback.retried {
                *line = Rollback { retried: true, ..rollback }.to_string();
                is_changed = true;
            }
        }
        if is_changed { self.write(ROLLBACKS, &lines) } else { Ok(()) }
    }

    /// The deployments whose last rollback counts against them.
    pub(super) fn rolled_back(&self) -> Result<Vec<DeploymentPath>, SystemError> {
        let mut found: Vec<Rollback> = Vec::new();
        for rollback in self.lines(ROLLBACKS)?.iter().filter_map(|line| line.parse::<Rollback>().ok()) {
            found.retain(|earlier| earlier.from != rollback.from);
            found.push(rollback);
        }
        Ok(found.into_iter().filter(|rollback| !rollback.retried).map(|rollback| rollback.from).collect())
    }

    /// The boots of a deployment that counts, as far as they could be written down.
    pub(super) fn attempts(&self, deployment: &DeploymentPath) -> Result<Vec<Attempt>, SystemError> {
        let all = self.lines(ATTEMPTS)?;
        let all = all.iter().filter_map(|line| line.parse::<Attempt>().ok());
        Ok(all.filter(|attempt| attempt.deployment == *deployment).collect())
    }

    /// Writes down this boot of a deployment, once.
    pub(super) fn attempt(&self, this: &Attempt) -> Result<(), SystemError> {
        let mut lines = self.lines(ATTEMPTS)?;
        if lines.iter().any(|line| line.parse::<Attempt>().is_ok_and(|attempt| attempt.boot == this.boot)) {
            return Ok(());
        }
        lines.push(this.to_string());
        self.write(ATTEMPTS, &lines)
    }

    /// Adds what is wrong with this boot, unless something is known to be wrong already. It may have failed before it was written down.
    pub(super) fn failed(&self, this: &Attempt) -> Result<(), SystemError> {
        let mut lines = self.lines(ATTEMPTS)?;
        let boot = |line: &String| line.parse::<Attempt>().ok().filter(|attempt| attempt.boot == this.boot);
        match lines.iter_mut().find_map(|line| Some((boot(line)?, line))) {
            None => lines.push(this.to_string()),
            Some((attempt, line)) if attempt.reason.is_none() => *line = this.to_string(),
            Some(_) => return Ok(()),
        }
        self.write(ATTEMPTS, &lines)
    }

    /// What was tried is good, or was rolled back.
    pub(super) fn end_attempts(&self) -> Result<(), SystemError> {
        dir::remove_file(&self.0, ATTEMPTS).context("remove", format_args!("/{DIRECTORY}/{ATTEMPTS}"))
    }

    fn lines(&self, name: &str) -> Result<Vec<String>, SystemError> {
        let read = dir::if_there(dir::read_no_link(&self.0, name, LIMIT));
        let bytes = read.context("read", format_args!("/{DIRECTORY}/{name}"))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).lines().map(ToOwned::to_owned).collect())
    }

    fn write(&self, name: &str, lines: &[String]) -> Result<(), SystemError> {
        let last = lines.iter().skip(lines.len().saturating_sub(MOST));
        let text: String = last.flat_map(|line| [line.as_str(), "\n"]).collect();
        dir::replace_file(&self.0, name, text.as_bytes(), 0o644).context("write", format_args!("/{DIRECTORY}/{name}"))
    }
}

/// Now, in seconds since the epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The name of this boot, as `journalctl -b` takes it.
pub(super) fn boot_id(system: impl AsFd) -> Result<String, SystemError> {
    const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";
    let text = dir::read(system, BOOT_ID, 4096).context("read", format_args!("/{BOOT_ID}"))?;
    Ok(String::from_utf8_lossy(&text).chars().filter(char::is_ascii_hexdigit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(number: u32) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.{number}", format!("{number:x}").repeat(64)[..64].to_owned())
            .parse()
            .unwrap()
    }

    fn rollback(from: u32, attempts: u32) -> Rollback {
        let (from, to) = (deployment(from), deployment(0));
        let (version, source, boots, reason) = (None, None, Vec::new(), None);
        Rollback { time: 1, from, to, attempts, version, source, boots, reason, forgotten: false, retried: false }
    }

    fn history() -> (tempfile::TempDir, History) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib")).unwrap();
        let history = History::open(dir::open_root(root.path()).unwrap().as_fd()).unwrap();
        (root, history)
    }

    #[test]
    fn a_rollback_is_news_once_and_the_history_does_not_grow_for_ever() {
        let (root, history) = history();
        let news = |from: u32, attempts| history.remember(&rollback(from, attempts)).unwrap();
        assert_eq!(news(1, 3), News::New);
        assert!(matches!(news(1, 3), News::Known(_)), "another boot into the same");
        assert_eq!((news(1, 2), news(2, 3)), (News::New, News::New));
        for from in 3..150 {
            assert_eq!(news(from, 3), News::New);
        }
        let text = std::fs::read_to_string(root.path().join("var/lib/ostree-boot/rollbacks")).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert_eq!(text.lines().last().unwrap().parse::<Rollback>().unwrap().from, deployment(149));
    }

    #[test]
    fn what_is_forgotten_is_not_told_again_and_stays_in_the_history() {
        let (_root, history) = history();
        for from in [1, 2, 1] {
            history.remember(&rollback(from, 3)).unwrap();
        }
        let forgotten = |digits| -> Vec<DeploymentPath> {
            history.forget(digits).unwrap().into_iter().map(|rollback| rollback.from).collect()
        };
        assert_eq!(forgotten(Some("fff")), []);
        assert_eq!(forgotten(None), [deployment(1)]);
        assert_eq!(history.remember(&rollback(1, 3)).unwrap(), News::Forgotten);
        assert_eq!(forgotten(Some("22")), [deployment(2)]);
        assert_eq!(forgotten(Some("1")), [deployment(1)], "the other one of it is marked already");
    }

    #[test]
    fn what_is_tried_again_and_rolled_back_again_is_news_even_if_it_was_forgotten() {
        let (_root, history) = history();
        let first = Rollback { reason: Some("x.service".to_owned()), ..rollback(1, 3) };
        history.remember(&first).unwrap();
        let News::Known(known) = history.remember(&rollback(1, 3)).unwrap() else { panic!("not known") };
        assert_eq!((known.reason.as_deref(), known.counts()), (Some("x.service"), true));
        history.forget(None).unwrap();
        history.retry(&deployment(2)).unwrap();
        assert_eq!(history.remember(&rollback(1, 3)).unwrap(), News::Forgotten);
        history.retry(&deployment(1)).unwrap();
        assert_eq!(history.remember(&rollback(1, 3)).unwrap(), News::New);
        assert_eq!(history.remember(&rollback(1, 3)).unwrap(), News::Known(Box::new(rollback(1, 3))));
    }

    #[test]
    fn an_attempt_keeps_the_first_reason() {
        let (_root, history) = history();
        let of = |number: u32, boot: &str, reason: Option<&str>| Attempt {
            deployment: deployment(number),
            boot: boot.to_owned(),
            reason: reason.map(ToOwned::to_owned),
        };
        let attempt = |number: u32, boot: &str| history.attempt(&of(number, boot, None)).unwrap();
        let failed = |number: u32, boot: &str, reason: &str| history.failed(&of(number, boot, Some(reason))).unwrap();
        attempt(1, "a");
        failed(1, "a", "x.service is not active");
        failed(1, "a", "emergency");
        attempt(1, "a");
        attempt(1, "b");
        attempt(2, "c");
        // Before this boot was assessed.
        failed(1, "d", "emergency");
        attempt(1, "d");
        let found = history.attempts(&deployment(1)).unwrap();
        let found: Vec<_> = found.iter().map(|attempt| (attempt.boot.as_str(), attempt.reason.as_deref())).collect();
        assert_eq!(found, [("a", Some("x.service is not active")), ("b", None), ("d", Some("emergency"))]);
        history.end_attempts().unwrap();
        assert_eq!(history.attempts(&deployment(1)).unwrap(), []);
    }
}
