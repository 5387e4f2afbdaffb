//! `/var/lib/ostree-boot/rollbacks` and `attempts`: which update was rolled back, and what its attempts to boot came to.
//!
//! Each line has words of the form `KEY=VALUE`. A value has `\xNN` for a byte that is not a visible ASCII character, and for a
//! backslash. What is not understood, a whole line or a word, is kept where a file is written anew.

use std::fmt;
use std::str::FromStr;

use crate::deployment::DeploymentPath;

/// Where both files are, relative to the root.
pub const DIRECTORY: &str = "var/lib/ostree-boot";
/// The most lines that are kept: a file that grew for ever would one day be too large to be read.
pub const MOST: usize = 100;

/// An update that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// When it was noticed, in seconds since the epoch.
    pub time: u64,
    /// The deployment that did not come up.
    pub from: DeploymentPath,
    /// The one that booted instead.
    pub to: DeploymentPath,
    /// How often it was tried.
    pub attempts: u32,
    /// The version of its commit.
    pub version: Option<String>,
    /// The ref or image that it comes from.
    pub source: Option<String>,
    /// The boots that have a journal.
    pub boots: Vec<String>,
    /// What was wrong, if an attempt could tell.
    pub reason: Option<String>,
    /// A person has said that it may be installed again.
    pub forgotten: bool,
    /// It was tried again since: if it is rolled back once more, that is another rollback.
    pub retried: bool,
}

/// Not a line of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a rollback")]
pub struct NotARollback;

impl Rollback {
    /// Whether both are about the same: the same attempts of the same deployment, and the same way back.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.from, &self.to, self.attempts) == (&other.from, &other.to, other.attempts)
    }

    /// Whether it counts against the update: nobody has allowed that it is installed, or tried, again.
    pub fn counts(&self) -> bool {
        !self.forgotten && !self.retried
    }

    /// Whether it was an update with this commit; or one with its version from the same source, since an image that is built again
    /// has another commit.
    pub fn was_of(&self, commit: &str, version: Option<&str>, source: Option<&str>) -> bool {
        let is_same_build = || {
            let both = version.zip(source);
            both.is_some() && self.version.as_deref().zip(self.source.as_deref()) == both
        };
        self.from.id.commit.as_str() == commit || is_same_build()
    }
}

impl fmt::Display for Rollback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, from, to, attempts, .. } = self;
        write!(f, "time={time} from=/{from} to=/{to} attempts={attempts}")?;
        let texts = [("version", &self.version), ("source", &self.source), ("reason", &self.reason)];
        for (key, value) in texts {
            if let Some(value) = value {
                write!(f, " {key}={}", escaped(value))?;
            }
        }
        if !self.boots.is_empty() {
            write!(f, " boots={}", escaped(&self.boots.join(",")))?;
        }
        for (key, is_set) in [("forgotten", self.forgotten), ("retried", self.retried)] {
            if is_set {
                write!(f, " {key}=yes")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Rollback {
    type Err = NotARollback;
    fn from_str(line: &str) -> Result<Self, NotARollback> {
        let path = |key| value(line, key)?.strip_prefix('/')?.parse::<DeploymentPath>().ok();
        let parse = || {
            let boots = value(line, "boots").unwrap_or_default();
            Some(Self {
                time: value(line, "time")?.parse().ok()?,
                from: path("from")?,
                to: path("to")?,
                attempts: value(line, "attempts")?.parse().ok()?,
                version: value(line, "version"),
                source: value(line, "source"),
                boots: boots.split(',').filter(|boot| !boot.is_empty()).map(ToOwned::to_owned).collect(),
                reason: value(line, "reason"),
                forgotten: value(line, "forgotten").as_deref() == Some("yes"),
                retried: value(line, "retried").as_deref() == Some("yes"),
            })
        };
        parse().ok_or(NotARollback)
    }
}

/// One boot of a deployment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was booted.
    pub deployment: DeploymentPath,
    /// `/proc/sys/kernel/random/boot_id`, without hyphens, as `journalctl -b` takes it.
    pub boot: String,
    /// What was wrong.
    pub reason: Option<String>,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deployment=/{} boot={}", self.deployment, escaped(&self.boot))?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " reason={}", escaped(reason)))
    }
}

impl FromStr for Attempt {
    type Err = NotARollback;
    fn from_str(line: &str) -> Result<Self, NotARollback> {
        let parse = || {
            Some(Self {
                deployment: value(line, "deployment")?.strip_prefix('/')?.parse().ok()?,
                boot: value(line, "boot")?,
                reason: value(line, "reason"),
            })
        };
        parse().ok_or(NotARollback)
    }
}

/// The value of a key in a line.
fn value(line: &str, key: &str) -> Option<String> {
    let word = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))?;
    Some(unescaped(word))
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'!'..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.split_at_checked(2).and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest))) {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend(rest.as_bytes());
            }
            // Not ours.
            None => bytes.extend(["\\x", part].concat().as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn deployment(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    fn rollback() -> Rollback {
        Rollback {
            time: 1_795_000_000,
            from: deployment('b'),
            to: deployment('a'),
            attempts: 3,
            version: Some("13 beta".to_owned()),
            source: Some("debian:stable".to_owned()),
            boots: vec!["0123".to_owned(), "4567".to_owned()],
            reason: None,
            forgotten: false,
            retried: false,
        }
    }

    #[test]
    fn a_line_of_an_earlier_version_is_read() {
        let (from, to) = (deployment('b'), deployment('a'));
        let read: Rollback = format!("time=5 from=/{from} to=/{to} attempts=2").parse().unwrap();
        assert_eq!((read.time, read.attempts, read.version, read.boots.len(), read.forgotten), (5, 2, None, 0, false));
        for line in ["", "time=x", "from=/ostree", &format!("time=5 from={from} to=/{to} attempts=2")] {
            assert_eq!(line.parse::<Rollback>(), Err(NotARollback), "{line}");
        }
    }

    #[test]
    fn a_version_that_is_built_again_is_the_same_update_only_from_the_same_source() {
        let (rollback, other) = (rollback(), "c".repeat(64));
        assert!(rollback.was_of(&"b".repeat(64), None, None));
        assert!(rollback.was_of(&other, Some("13 beta"), Some("debian:stable")));
        assert!(!rollback.was_of(&other, Some("13 beta"), Some("debian:testing")));
        assert!(!rollback.was_of(&other, Some("14"), Some("debian:stable")));
        let unnamed = Rollback { version: None, source: None, ..rollback };
        assert!(!unnamed.was_of(&other, None, None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(version in proptest::option::of(".{0,20}"), reason in proptest::option::of(".{0,20}"), forgotten: bool, retried: bool) {
            let written = Rollback { version, reason: reason.clone(), forgotten, retried, ..rollback() };
            let line = written.to_string();
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(line.parse::<Rollback>(), Ok(written));
            let attempt = Attempt { deployment: deployment('b'), boot: "0123".to_owned(), reason };
            prop_assert_eq!(attempt.to_string().parse::<Attempt>(), Ok(attempt));
        }

        #[test]
        fn no_line_panics(line in ".*") {
            let _ = line.parse::<Rollback>();
            let _ = format!("deployment=/{} boot={line}", deployment('b')).parse::<Attempt>();
        }
    }
}
