//! Boot links: `ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL`, what a boot loader entry names.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::deployment::{Checksum, NameError, Stateroot, parse_serial};

/// Which of the two alternating sets of boot links and boot loader entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootVersion {
    /// `boot.0`, `loader.0`.
    Zero,
    /// `boot.1`, `loader.1`.
    One,
}

impl BootVersion {
    /// The one that the next update would write.
    pub fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }
}

impl fmt::Display for BootVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "0",
            Self::One => "1",
        })
    }
}

/// SHA-256 over kernel, initramfs and device tree of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Bootcsum(Checksum);

impl Bootcsum {
    /// The digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Bootcsum {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Bootcsum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Not `/ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a boot link (/ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL)")]
pub struct NotABootlink(pub String);

/// A boot link's name. Prints as the path relative to the physical root, without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bootlink {
    /// N of `boot.N`.
    pub bootversion: BootVersion,
    /// Whose deployment.
    pub stateroot: Stateroot,
    /// Which kernel and initramfs it boots with.
    pub bootcsum: Bootcsum,
    /// Distinguishes deployments with the same bootcsum. Every list of deployments has its own numbers.
    pub bootserial: u32,
}

impl Bootlink {
    /// The link of the same name under the other bootversion.
    pub fn under_other_bootversion(&self) -> Self {
        Self { bootversion: self.bootversion.other(), ..self.clone() }
    }
}

impl FromStr for Bootlink {
    type Err = NotABootlink;
    fn from_str(text: &str) -> Result<Self, NotABootlink> {
        let wrong = || NotABootlink(text.to_owned());
        let relative = text.trim_start_matches('/').trim_end_matches('/');
        let mut parts = relative.split('/');
        let mut next = || parts.next().ok_or_else(wrong);
        let (ostree, boot, stateroot, bootcsum, serial) = (next()?, next()?, next()?, next()?, next()?);
        let bootversion = match boot {
            "boot.0" => BootVersion::Zero,
            "boot.1" => BootVersion::One,
            _ => return Err(wrong()),
        };
        if ostree != "ostree" || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            bootversion,
            stateroot: stateroot.parse().map_err(|_| wrong())?,
            bootcsum: bootcsum.parse().map_err(|_| wrong())?,
            bootserial: parse_serial(serial).ok_or_else(wrong)?,
        })
    }
}

impl fmt::Display for Bootlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ostree/boot.{}/{}/{}/{}", self.bootversion, self.stateroot, self.bootcsum, self.bootserial)
    }
}

/// With a leading slash: absolute on the physical root.
impl Serialize for Bootlink {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/{self}"))
    }
}

/// Where a link at `path` leads, by its text alone, without a leading slash: `../ostree/boot.1/…` at `/ostree/root.a`.
pub fn by_text(path: &str, target: &str) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let directory = if target.starts_with('/') { "" } else { directory };
    let mut names: Vec<&str> = Vec::new();
    for name in directory.split('/').chain(target.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_link_of_a_slot_names_a_boot_link() {
        let link = format!("ostree/boot.1/os/{}/0", "c".repeat(64));
        for target in [format!("../{link}"), format!("../../{link}/"), format!("/{link}"), link.replace("ostree/", "")]
        {
            assert_eq!(by_text("/ostree/root.a", &target), link, "{target}");
        }
        for target in ["deploy/os/deploy/x.0", "../boot.1/os", ""] {
            assert!(by_text("/ostree/root.a", target).parse::<Bootlink>().is_err(), "{target}");
        }
    }

    #[test]
    fn the_other_bootversion_changes_only_n() {
        let sum = "0".repeat(64);
        let link: Bootlink = format!("/ostree/boot.1/debian/{sum}/3").parse().unwrap();
        assert_eq!(link.under_other_bootversion().to_string(), format!("ostree/boot.0/debian/{sum}/3"));
    }

    #[test]
    fn only_two_bootversions_exist() {
        let sum = "0".repeat(64);
        for bad in ["boot.2", "boot.", "boot.0.0", "boot", "deploy"] {
            assert!(format!("/ostree/{bad}/debian/{sum}/0").parse::<Bootlink>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_valid_link_round_trips(n in 0..2u8, stateroot in "[^/\0]{3,20}", sum in "[0-9a-f]{64}", serial: u32) {
            let text = format!("ostree/boot.{n}/{stateroot}/{sum}/{serial}");
            prop_assert_eq!(text.parse::<Bootlink>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Bootlink>();
        }
    }
}
