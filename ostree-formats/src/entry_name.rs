//! File names of boot loader entries: `ostree-N.conf`, because GRUB sorts by them.

use std::fmt;
use std::str::FromStr;

use crate::deployment::parse_serial;

/// Boot counting (systemd.io, "Automatic Boot Assessment").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tries {
    /// How many are left.
    pub left: u32,
    /// How many were used; not in the name of an entry that was never tried.
    pub done: Option<u32>,
}

/// `ostree-N.conf`; older systems add `-STATEROOT`; with boot counting `+LEFT` or `+LEFT-DONE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// Counts down from the number of deployments: the highest is the default.
    pub number: u32,
    /// In names by libostree before 2024.5.
    pub stateroot: Option<String>,
    /// `None` without boot counting, and for an entry that has booted successfully.
    pub tries: Option<Tries>,
}

/// Not the name of an entry that libostree writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an OSTree boot loader entry")]
pub struct NotAnEntryName(pub String);

impl FromStr for EntryName {
    type Err = NotAnEntryName;
    fn from_str(text: &str) -> Result<Self, NotAnEntryName> {
        let parse = || {
            let rest = text.strip_prefix("ostree-")?.strip_suffix(".conf")?;
            let (rest, tries) = match rest.rsplit_once('+').map(|(before, after)| (before, after.parse().ok())) {
                Some((before, Some(tries))) => (before, Some(tries)),
                // A `+` in the name of a stateroot.
                _ => (rest, None),
            };
            let (number, stateroot) = match rest.split_once('-') {
                Some((number, stateroot)) => (number, Some(stateroot.to_owned())),
                None => (rest, None),
            };
            Some(Self { number: parse_serial(number)?, stateroot, tries })
        };
        parse().ok_or_else(|| NotAnEntryName(text.to_owned()))
    }
}

impl FromStr for Tries {
    type Err = NotAnEntryName;
    /// `LEFT` or `LEFT-DONE`.
    fn from_str(text: &str) -> Result<Self, NotAnEntryName> {
        let parse = || match text.split_once('-') {
            Some((left, done)) => Some(Self { left: parse_serial(left)?, done: Some(parse_serial(done)?) }),
            None => Some(Self { left: parse_serial(text)?, done: None }),
        };
        parse().ok_or_else(|| NotAnEntryName(text.to_owned()))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ostree-{}", self.number)?;
        if let Some(stateroot) = &self.stateroot {
            write!(f, "-{stateroot}")?;
        }
        if let Some(Tries { left, done }) = &self.tries {
            write!(f, "+{left}")?;
            if let Some(done) = done {
                write!(f, "-{done}")?;
            }
        }
        f.write_str(".conf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read_and_written() {
        for text in
            ["ostree-1.conf", "ostree-12-debian.conf", "ostree-2+3.conf", "ostree-2+3-0.conf", "ostree-2-a-b+1-2.conf"]
        {
            assert_eq!(text.parse::<EntryName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn others_are_none_of_ours() {
        for text in [
            "ostree-.conf",
            "ostree-x.conf",
            "ostree-1",
            "fedora-1.conf",
            "ostree-1.conf.new",
            "ostree-99999999999.conf",
        ] {
            assert!(text.parse::<EntryName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<EntryName>();
            let _ = format!("ostree-{text}.conf").parse::<EntryName>();
        }
    }
}
