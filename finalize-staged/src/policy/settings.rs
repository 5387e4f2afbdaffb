//! `finalize-staged.conf`: finalize-staged.conf(5).

use std::os::fd::AsFd;
use std::time::Duration;

use ostree_formats::keyfile::{Entry, Keyfile, shorten};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;

/// The administrator's file replaces the distribution's.
const FILES: [&str; 2] = ["etc/ostree/finalize-staged.conf", "usr/lib/ostree/finalize-staged.conf"];
const LIMIT: u64 = 1 << 20;
/// Of a time, in seconds.
const LONGEST: u64 = 60 * 60;
/// How many of them are named.
const MOST_MISTAKES: usize = 20;

/// What follows if the policy cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnFailure {
    /// The update is finalized with another policy.
    #[default]
    Warn,
    /// The update is not finalized.
    Fail,
}

/// The settings of this program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// `[selinux] on-refresh-failure=`.
    pub(crate) on_refresh_failure: OnFailure,
    /// `[selinux] refresh-timeout=`: how long building the policy may take.
    pub(crate) refresh_timeout: Option<Duration>,
    /// What is wrong in the file.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Reads them below the root directory `root`. A file that cannot be read or understood is a warning: the defaults count.
    pub(crate) fn read(root: impl AsFd) -> Self {
        for path in FILES {
            match dir::read(&root, path, LIMIT) {
                Ok(bytes) => return Self::parse(&bytes, path),
                Err(Errno::NOENT) if !is_link(&root, path) => {}
                Err(error) => return Self::wrong(path, &error.to_string()),
            }
        }
        Self::default()
    }

    fn wrong(path: &str, what: &str) -> Self {
        Self { warnings: vec![format!("/{path}: {what}; the defaults count")], ..Self::default() }
    }

    pub(crate) fn parse(bytes: &[u8], path: &str) -> Self {
        let keyfile = match Keyfile::parse(bytes) {
            Ok(keyfile) => keyfile,
            Err(error) => return Self::wrong(path, &error.to_string()),
        };
        let (mut settings, mut mistakes) = (Self::default(), 0);
        for group in &keyfile.groups {
            for entry in &group.entries {
                let Some(mistake) = settings.set(group.name, entry) else { continue };
                mistakes += 1;
                if mistakes <= MOST_MISTAKES {
                    let text = mistake.text(group.name, entry);
                    settings.warnings.push(format!("/{path}, line {}: {text}", entry.line));
                }
            }
        }
        if mistakes > MOST_MISTAKES {
            settings.warnings.push(format!("/{path}: {} more mistakes", mistakes - MOST_MISTAKES));
        }
        settings
    }

    /// Takes an entry, or says what is wrong with it.
    fn set(&mut self, group: &[u8], entry: &Entry<'_>) -> Option<Mistake> {
        match (group, entry.key, entry.value) {
            (b"selinux", b"on-refresh-failure", b"warn") => self.on_refresh_failure = OnFailure::Warn,
            (b"selinux", b"on-refresh-failure", b"fail") => self.on_refresh_failure = OnFailure::Fail,
            (b"selinux", b"on-refresh-failure", _) => return Some(Mistake::Value("it can be warn or fail")),
            (b"selinux", b"refresh-timeout", value) => match std::str::from_utf8(value).map(str::parse) {
                Ok(Ok(seconds)) => self.refresh_timeout = Some(Duration::from_secs(LONGEST.min(seconds))),
                _ => return Some(Mistake::Value("it must be a number of seconds")),
            },
            _ => return Some(Mistake::Key),
        }
        None
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy)]
enum Mistake {
    /// Its key is unknown.
    Key,
    /// Its value is; what it can be.
    Value(&'static str),
}

impl Mistake {
    fn text(self, group: &[u8], entry: &Entry<'_>) -> String {
        let text = |bytes| shorten(&String::from_utf8_lossy(bytes));
        match self {
            Self::Key => format!("[{}] has no key {:?}", text(group), text(entry.key)),
            Self::Value(expected) => format!("{}={:?}: {expected}", text(entry.key), text(entry.value)),
        }
    }
}

/// A link that leads nowhere is a mistake, and must not make the other file count.
fn is_link(root: impl AsFd, path: &str) -> bool {
    dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_mistakes_are_named() {
        let parse = |text: &str| Settings::parse(text.as_bytes(), "etc/ostree/finalize-staged.conf");
        assert_eq!(
            parse("[selinux]\non-refresh-failure=warn\non-refresh-failure = fail\n").on_refresh_failure,
            OnFailure::Fail
        );
        assert_eq!(parse("[selinux]\nrefresh-timeout=7\n").refresh_timeout, Some(Duration::from_secs(7)));
        assert_eq!(parse("[selinux]\nrefresh-timeout=-1\n").warnings.len(), 1);
        let longest = format!("[selinux]\nrefresh-timeout={}\n", u64::MAX);
        assert_eq!(parse(&longest).refresh_timeout, Some(Duration::from_secs(LONGEST)));
        assert_eq!(parse(""), Settings::default());
        let wrong = parse("[selinux]\non-refresh-failure=perhaps\nx=1\n");
        assert_eq!(wrong.on_refresh_failure, OnFailure::Warn);
        assert_eq!(
            wrong.warnings,
            [
                "/etc/ostree/finalize-staged.conf, line 2: on-refresh-failure=\"perhaps\": it can be warn or fail",
                "/etc/ostree/finalize-staged.conf, line 3: [selinux] has no key \"x\""
            ]
        );
        let many = format!("[{}]\n{}", "g".repeat(10_000), "key=\n".repeat(1000));
        let warnings = parse(&many).warnings;
        assert_eq!((warnings.len(), warnings.concat().len() < 5000), (21, true), "{warnings:?}");
        assert!(parse("nothing").warnings.concat().ends_with("the defaults count"));
    }

    #[test]
    fn the_administrators_file_replaces_the_distributions() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = || Settings::read(std::fs::File::open(root.path()).unwrap());
        assert_eq!(read(), Settings::default());
        write(FILES[1], "[selinux]\non-refresh-failure=fail\n");
        assert_eq!(read().on_refresh_failure, OnFailure::Fail);
        write(FILES[0], "");
        assert_eq!(read(), Settings::default());
        std::fs::remove_file(root.path().join(FILES[0])).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join(FILES[0])).unwrap();
        assert_eq!(read().warnings.len(), 1);
    }
}
