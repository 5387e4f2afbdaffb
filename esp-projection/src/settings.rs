//! `esp.conf`: esp.conf(5).

use std::os::fd::AsFd;

use ostree_formats::keyfile::{Entry, Keyfile, boolean, shorten};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;

use crate::list::Uki;

/// The administrator's file replaces the distribution's.
pub const FILES: [&str; 2] = ["etc/ostree/esp.conf", "usr/lib/ostree/esp.conf"];
const LIMIT: u64 = 1 << 20;
/// How many of them are named.
const MOST_MISTAKES: usize = 20;
/// More tries than nine need one more character in a name.
const MOST_TRIES: u32 = 9;
/// A day.
const LONGEST: u32 = 24 * 60 * 60;
/// dracut looks at `rd.emergency` only if it may not give a shell.
const TRIAL_ARGUMENTS: &str = "panic=30 rd.shell=0 rd.emergency=reboot systemd.crash_action=reboot";

/// What a boot that is good has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoodWhen {
    /// What systemd asks for: `sysinit.target`, and what distributions add.
    Sysinit,
    /// The default target.
    #[default]
    DefaultTarget,
    /// The default target, and no unit has failed.
    NoFailures,
}

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `[esp] enabled=`: whether there is a projection at all.
    pub enabled: bool,
    /// `[esp] partition=`: `UUID=`, `PARTUUID=`, `LABEL=`, or a path; `None`: the one that was booted from.
    pub partition: Option<String>,
    /// `[esp] also=`: further partitions, with the same forms of names.
    pub also: Vec<String>,
    /// `[esp] keep=`: how many deployments are projected; `None`: all of them.
    pub keep: Option<usize>,
    /// `[esp] uki=`; `None`: the image where Secure Boot is on.
    pub uki: Option<Uki>,
    /// `[rollback] tries=`; `None`: what the repository's `sysroot.boot-counting-tries` says, else three.
    pub tries: Option<u32>,
    /// `[rollback] trial-arguments=`.
    pub trial_arguments: String,
    /// `[rollback] good-when=`.
    pub good_when: GoodWhen,
    /// `[rollback] required=`: units that must be active.
    pub required: Vec<String>,
    /// `[rollback] timeout=`: after how many seconds a boot that counts is not good any more; 0: never; `None`: as the unit says.
    pub timeout: Option<u32>,
    /// `[rollback] make-default=`: whether the deployment that boots instead becomes the default.
    pub make_default: bool,
    /// `[rollback] refuse=`: whether an update that was rolled back is not finalized again.
    pub refuse: bool,
    /// What is wrong in the file.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            partition: None,
            also: Vec::new(),
            keep: None,
            uki: None,
            tries: None,
            trial_arguments: TRIAL_ARGUMENTS.to_owned(),
            good_when: GoodWhen::default(),
            required: Vec::new(),
            timeout: None,
            make_default: true,
            refuse: false,
            warnings: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads them below the root directory `root`. Without a file the defaults count.
    ///
    /// # Errors
    /// A file cannot be read or understood: whether there is a projection is not known then.
    pub fn read(root: impl AsFd) -> Result<Self, String> {
        match Self::file(root)? {
            Some((path, bytes)) => Self::parse(&bytes, path),
            None => Ok(Self::default()),
        }
    }

    /// The file that counts, with its content.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(root: impl AsFd) -> Result<Option<(&'static str, Vec<u8>)>, String> {
        for path in FILES {
            match dir::read(&root, path, LIMIT) {
                Ok(bytes) => return Ok(Some((path, bytes))),
                Err(Errno::NOENT) => match dir::open(&root, path, OFlags::PATH | OFlags::NOFOLLOW) {
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    Err(error) => return Err(format!("cannot read /{path}: {error}")),
                    Ok(_) => return Err(format!("cannot read /{path}: it is a link that leads nowhere")),
                },
                Err(Errno::NOTDIR) => {}
                Err(error) => return Err(format!("cannot read /{path}: {error}")),
            }
        }
        Ok(None)
    }

    /// Parses the text of the file `path`.
    ///
    /// # Errors
    /// It is no key file.
    pub fn parse(bytes: &[u8], path: &str) -> Result<Self, String> {
        let keyfile = Keyfile::parse(bytes).map_err(|error| format!("/{path}: {error}"))?;
        let (mut settings, mut mistakes) = (Self::default(), 0);
        for group in &keyfile.groups {
            for entry in &group.entries {
                let Err(reason) = settings.set(group.name, entry) else { continue };
                mistakes += 1;
                if mistakes <= MOST_MISTAKES {
                    settings.warnings.push(format!("/{path}, line {}: {reason}", entry.line));
                }
            }
        }
        if mistakes > MOST_MISTAKES {
            settings.warnings.push(format!("/{path}: {} more lines that are not known", mistakes - MOST_MISTAKES));
        }
        Ok(settings)
    }

    fn set(&mut self, group: &[u8], entry: &Entry<'_>) -> Result<(), String> {
        let (section, key) = (String::from_utf8_lossy(group), String::from_utf8_lossy(entry.key));
        let (section, key) = (shorten(&section), shorten(&key));
        let (section, key) = (section.as_str(), key.as_str());
        let value = entry.text().map_err(|error| error.to_string())?.trim_end();
        let yes_or_no = || match value {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => boolean(other).ok_or_else(|| format!("{key}={:?}: it can be yes or no", shorten(value))),
        };
        let number = |most: u32| match value.parse::<u32>() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(format!("{key}={:?}: it must be a number up to {most}", shorten(value))),
        };
        match (section, key) {
            ("esp", "enabled") => self.enabled = yes_or_no()?,
            ("esp", "partition") => self.partition = (!value.is_empty()).then(|| value.to_owned()),
            ("esp", "also") => self.also = value.split_whitespace().map(str::to_owned).collect(),
            ("esp", "keep") => match number(1000)? {
                0 | 1 => {
                    return Err(format!(
                        "{key}={:?}: without an older deployment nothing can be rolled back",
                        shorten(value)
                    ));
                }
                keep => self.keep = usize::try_from(keep).ok(),
            },
            ("esp", "uki") => {
                self.uki = match value {
                    "prefer" => Some(Uki::Prefer),
                    "ignore" => Some(Uki::Ignore),
                    _ => return Err(format!("{key}={:?}: it can be prefer or ignore", shorten(value))),
                }
            }
            ("rollback", "make-default") => self.make_default = yes_or_no()?,
            ("rollback", "refuse") => self.refuse = yes_or_no()?,
            ("rollback", "timeout") => self.timeout = Some(seconds(value, key)?),
            ("rollback", "tries") => self.tries = Some(number(MOST_TRIES)?),
            ("rollback", "trial-arguments") if value.contains(char::is_control) => {
                return Err(format!("{key}={:?}: there is a control character in it", shorten(value)));
            }
            ("rollback", "trial-arguments") => value.clone_into(&mut self.trial_arguments),
            ("rollback", "good-when") => {
                self.good_when = match value {
                    "sysinit" => GoodWhen::Sysinit,
                    "default-target" => GoodWhen::DefaultTarget,
                    "no-failures" => GoodWhen::NoFailures,
                    _ => {
                        return Err(format!(
                            "{key}={:?}: it can be sysinit, default-target or no-failures",
                            shorten(value)
                        ));
                    }
                }
            }
            ("rollback", "required") => self.required = value.split_whitespace().map(str::to_owned).collect(),
            _ => return Err(format!("[{section}] has no key {key:?}")),
        }
        Ok(())
    }
}

/// A number of seconds, or of minutes with `min`. Less than a minute is no time to boot in.
fn seconds(value: &str, key: &str) -> Result<u32, String> {
    let (digits, factor) = value.strip_suffix("min").map_or((value, 1), |minutes| (minutes.trim_end(), 60));
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    seconds.filter(|seconds| *seconds == 0 || (60..=LONGEST).contains(seconds)).ok_or_else(|| {
        format!("{key}={:?}: it must be 0, or a time from 60 (seconds) or 1min (minutes) up to a day", shorten(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text.as_bytes(), "etc/ostree/esp.conf").unwrap()
    }

    #[test]
    fn every_key_is_read() {
        let text = "[esp]\nenabled=yes\npartition=LABEL=EFI\nalso=UUID=1234-ABCD  /dev/vdb1\nkeep=2\nuki=prefer\n[rollback]\ntries=5\ntrial-arguments=panic=5\n\
                    good-when=no-failures\nrequired=sshd.service  a.service\ntimeout=20min\nmake-default=no\nrefuse=yes\n";
        let settings = Settings {
            enabled: true,
            partition: Some("LABEL=EFI".to_owned()),
            also: vec!["UUID=1234-ABCD".to_owned(), "/dev/vdb1".to_owned()],
            keep: Some(2),
            uki: Some(Uki::Prefer),
            tries: Some(5),
            trial_arguments: "panic=5".to_owned(),
            good_when: GoodWhen::NoFailures,
            required: vec!["sshd.service".to_owned(), "a.service".to_owned()],
            timeout: Some(1200),
            make_default: false,
            refuse: true,
            warnings: Vec::new(),
        };
        assert_eq!(parse(text), settings);
        assert_eq!(parse(""), Settings::default());
    }

    #[test]
    fn nobody_is_waited_for_in_the_initramfs_of_a_trial() {
        let arguments = Settings::default().trial_arguments;
        let words: Vec<&str> = arguments.split(' ').collect();
        // dracut-emergency(8): with a shell, which is its default, what rd.emergency= says comes after the shell has ended.
        assert!(
            ["panic=30", "rd.shell=0", "rd.emergency=reboot"].iter().all(|word| words.contains(word)),
            "{arguments}"
        );
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() {
        let wrong =
            parse("[esp]\nenabled=perhaps\nkeep=1\nx=1\nuki=yes\n[rollback]\ntries=10\ngood-when=always\ntimeout=5\n");
        assert_eq!(
            wrong.warnings,
            [
                "/etc/ostree/esp.conf, line 2: enabled=\"perhaps\": it can be yes or no",
                "/etc/ostree/esp.conf, line 3: keep=\"1\": without an older deployment nothing can be rolled back",
                "/etc/ostree/esp.conf, line 4: [esp] has no key \"x\"",
                "/etc/ostree/esp.conf, line 5: uki=\"yes\": it can be prefer or ignore",
                "/etc/ostree/esp.conf, line 7: tries=\"10\": it must be a number up to 9",
                "/etc/ostree/esp.conf, line 8: good-when=\"always\": it can be sysinit, default-target or no-failures",
                "/etc/ostree/esp.conf, line 9: timeout=\"5\": it must be 0, or a time from 60 (seconds) or 1min (minutes) up to a day",
            ]
        );
        assert_eq!(Settings { warnings: Vec::new(), ..wrong }, Settings::default());
        assert!(Settings::parse(b"nonsense", "x").is_err());
        let many = format!("[{}]\n{}", "x".repeat(1000), "y=1\n".repeat(1000));
        let told = parse(&many).warnings;
        assert!(told.len() == 21 && told.concat().len() < 4000, "{told:?}");
    }
}
