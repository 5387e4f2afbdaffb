//! How often a deployment was tried, where the boot loader does not count: three small files of lines `KEY=VALUE`.
//!
//! - [`Record`], `/ostree/boot-attempts/record` on the physical root: which deployment is on trial, and which one boots if it does not
//!   come up. The running system writes it, whenever the list changes.
//! - [`Count`], `/ostree/boot-attempts/count`: one sector that the initramfs overwrites in place before it prepares the root.
//! - [`BootCount`], `/run/ostree/boot-count`: what the initramfs says of this boot.
//!
//! Keys that are not known are passed over.

use std::fmt;

use crate::deployment::{Checksum, DeploymentPath};

/// Where [`Record`] and [`Count`] are, relative to the physical root.
pub const DIRECTORY: &str = "ostree/boot-attempts";
/// The name of the [`Record`].
pub const RECORD: &str = "record";
/// The name of the [`Count`].
pub const COUNT: &str = "count";
/// The largest record that is read.
pub const RECORD_LIMIT: u64 = 1 << 16;
/// The size of a [`Count`]: the part of a disk that is written whole or not at all.
pub const COUNT_SIZE: usize = 512;
/// The list with another default, beside the active one in `/boot`.
pub const OLDER_LIST: &str = "loader.firstroot";

/// What is on trial.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The deployment on trial, and the one that boots if it does not come up.
    pub trial: Option<Trial>,
    /// The filesystem of `/boot`, if it is one of its own.
    pub boot: Option<BootFilesystem>,
    /// The deployments that have come up.
    pub good: Vec<DeploymentPath>,
}

/// A deployment on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// It was never good, and is the default.
    pub deployment: DeploymentPath,
    /// It was good.
    pub fallback: DeploymentPath,
    /// The digest of the active list that [`OLDER_LIST`] was made for; `None`: there is no such list.
    pub list: Option<Checksum>,
}

/// How to find a filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFilesystem {
    /// The kernel's name of its type.
    pub fstype: String,
    /// Its UUID, as in `/dev/disk/by-uuid`.
    pub uuid: String,
}

/// Why a file is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// There is another byte than text has.
    #[error("it is no text")]
    NotText,
    /// A known key has a value that cannot be.
    #[error("the value of {0} cannot be")]
    Value(&'static str),
    /// A key is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It has another size.
    #[error("it does not have {COUNT_SIZE} bytes")]
    Size,
}

impl Record {
    /// Parses the content of the file.
    ///
    /// # Errors
    /// It is damaged: nothing of it counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        let (mut deployment, mut fallback, mut list) = (None, None, None);
        let mut record = Self::default();
        for (key, value) in lines(bytes)? {
            match key {
                "trial" => deployment = Some(path(value).ok_or(Damaged::Value("trial"))?),
                "fallback" => fallback = Some(path(value).ok_or(Damaged::Value("fallback"))?),
                "list" => list = Some(value.parse().map_err(|_| Damaged::Value("list"))?),
                "boot" => record.boot = Some(BootFilesystem::parse(value).ok_or(Damaged::Value("boot"))?),
                "good" => record.good.push(path(value).ok_or(Damaged::Value("good"))?),
                _ => {}
            }
        }
        record.trial = match (deployment, fallback) {
            (Some(deployment), Some(fallback)) => Some(Trial { deployment, fallback, list }),
            (None, _) => None,
            (Some(_), None) => return Err(Damaged::Missing("fallback")),
        };
        Ok(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# Written by firstroot (man firstroot)\n")?;
        if let Some(Trial { deployment, fallback, list }) = &self.trial {
            writeln!(f, "trial=/{deployment}\nfallback=/{fallback}")?;
            if let Some(list) = list {
                writeln!(f, "list={}", list.as_str())?;
            }
        }
        if let Some(BootFilesystem { fstype, uuid }) = &self.boot {
            writeln!(f, "boot={fstype} {uuid}")?;
        }
        self.good.iter().try_for_each(|good| writeln!(f, "good=/{good}"))
    }
}

impl BootFilesystem {
    /// From its two words. Neither can lead out of `/dev/disk/by-uuid`.
    fn parse(value: &str) -> Option<Self> {
        let (fstype, uuid) = value.split_once(' ')?;
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (is_word(fstype) && is_word(uuid)).then(|| Self { fstype: fstype.to_owned(), uuid: uuid.to_owned() })
    }
}

/// How often a deployment was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Which.
    pub deployment: DeploymentPath,
    /// How often, the boot that has written this included.
    pub attempts: u32,
    /// How often it may be, as the initramfs was configured that has written this.
    pub tries: u32,
}

impl Count {
    /// Parses the content of the file; `None`: nothing was counted.
    ///
    /// # Errors
    /// It is damaged: nothing of it counts.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Damaged> {
        if bytes.len() != COUNT_SIZE {
            return Err(Damaged::Size);
        }
        let (mut deployment, mut attempts, mut tries) = (None, None, None);
        for (key, value) in lines(bytes)? {
            match key {
                "deployment" => deployment = Some(path(value).ok_or(Damaged::Value("deployment"))?),
                "attempts" => attempts = Some(number(value).ok_or(Damaged::Value("attempts"))?),
                "tries" => tries = Some(number(value).ok_or(Damaged::Value("tries"))?),
                _ => {}
            }
        }
        let Some(deployment) = deployment else { return Ok(None) };
        let attempts = attempts.ok_or(Damaged::Missing("attempts"))?;
        Ok(Some(Self { deployment, attempts, tries: tries.ok_or(Damaged::Missing("tries"))? }))
    }

    /// The content of the file; `None`: the deployment's path is too long for it.
    pub fn to_bytes(&self) -> Option<[u8; COUNT_SIZE]> {
        let Self { deployment, attempts, tries } = self;
        let text = format!("deployment=/{deployment}\nattempts={attempts}\ntries={tries}\n");
        let mut bytes = NOTHING_COUNTED;
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(bytes)
    }

    /// Whether it was tried as often as it may be.
    pub fn is_used_up(&self) -> bool {
        self.attempts >= self.tries
    }
}

/// The content of a [`Count`] that says nothing.
pub const NOTHING_COUNTED: [u8; COUNT_SIZE] = [b'\n'; COUNT_SIZE];

/// What the initramfs says of this boot. It is there whenever the initramfs would count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootCount {
    /// How often a deployment may be tried.
    pub tries: u32,
    /// Which attempt of the booted deployment this is; `None`: it is not on trial.
    pub attempt: Option<u32>,
}

impl BootCount {
    /// Parses the content of the file.
    ///
    /// # Errors
    /// It is damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        let (mut tries, mut attempt) = (None, None);
        for (key, value) in lines(bytes)? {
            match key {
                "tries" => tries = Some(number(value).ok_or(Damaged::Value("tries"))?),
                "attempt" => attempt = Some(number(value).ok_or(Damaged::Value("attempt"))?),
                _ => {}
            }
        }
        Ok(Self { tries: tries.ok_or(Damaged::Missing("tries"))?, attempt })
    }
}

impl fmt::Display for BootCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tries={}", self.tries)?;
        self.attempt.map_or(Ok(()), |attempt| f.write_fmt(format_args!("attempt={attempt}\n")))
    }
}

fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (&str, &str)>, Damaged> {
    let text = std::str::from_utf8(bytes).map_err(|_| Damaged::NotText)?;
    Ok(text.split('\n').filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')))
}

fn path(value: &str) -> Option<DeploymentPath> {
    value.strip_prefix('/')?.parse().ok()
}

fn number(value: &str) -> Option<u32> {
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deployment(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let record = Record {
            trial: Some(Trial {
                deployment: deployment('b'),
                fallback: deployment('a'),
                list: Some("c".repeat(64).parse().unwrap()),
            }),
            boot: Some(BootFilesystem { fstype: "ext4".to_owned(), uuid: "0f-1".to_owned() }),
            good: vec![deployment('a'), deployment('c')],
        };
        assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
        assert_eq!(Record::parse(Record::default().to_string().as_bytes()), Ok(Record::default()));
        let count = Count { deployment: deployment('b'), attempts: 2, tries: 3 };
        assert_eq!(Count::parse(&count.to_bytes().unwrap()), Ok(Some(count.clone())));
        assert_eq!(Count::parse(&NOTHING_COUNTED), Ok(None));
        assert!(!count.is_used_up() && Count { attempts: 3, ..count }.is_used_up());
        for boot in [BootCount { tries: 3, attempt: None }, BootCount { tries: 1, attempt: Some(1) }] {
            assert_eq!(BootCount::parse(boot.to_string().as_bytes()), Ok(boot));
        }
    }

    #[test]
    fn what_is_damaged_does_not_count() {
        assert_eq!(Count::parse(b""), Err(Damaged::Size));
        assert_eq!(Count::parse(&[0; COUNT_SIZE]), Ok(None));
        assert_eq!(Count::parse(&[0xff; COUNT_SIZE]), Err(Damaged::NotText));
        let with = |text: &str| {
            let mut bytes = NOTHING_COUNTED;
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Count::parse(&bytes)
        };
        assert_eq!(with("deployment=/etc"), Err(Damaged::Value("deployment")));
        assert_eq!(with("deployment=/etc\nattempts=x"), Err(Damaged::Value("deployment")));
        assert_eq!(with(&format!("deployment=/{}\ntries=3", deployment('a'))), Err(Damaged::Missing("attempts")));
        assert_eq!(with("attempts=-1"), Err(Damaged::Value("attempts")));
        let alone = format!("trial=/{}\n", deployment('a'));
        assert_eq!(Record::parse(alone.as_bytes()), Err(Damaged::Missing("fallback")));
        for value in ["ext4", "ext4 ../../sda", "ext4 ", " x", "ext4 a b"] {
            assert_eq!(Record::parse(format!("boot={value}\n").as_bytes()), Err(Damaged::Value("boot")), "{value}");
        }
        assert_eq!(BootCount::parse(b"attempt=1\n"), Err(Damaged::Missing("tries")));
    }

    #[test]
    fn a_path_that_does_not_fit_is_not_cut() {
        let long = format!("ostree/deploy/{}/deploy/{}.0", "s".repeat(250), "a".repeat(64)).parse().unwrap();
        let count = Count { deployment: long, attempts: 1, tries: 3 };
        assert_eq!(Count::parse(&count.to_bytes().unwrap()), Ok(Some(count)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let _ = (Record::parse(&bytes), Count::parse(&bytes), BootCount::parse(&bytes));
        }
    }
}
