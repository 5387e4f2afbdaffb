//! Paths below `/etc`: bytes, because names there need not be UTF-8.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;

/// A path relative to `/etc`, without a leading slash; empty is `/etc` itself. It prints as the absolute path, in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct EtcPath(Vec<u8>);

/// The longest path of a system call, without the zero at its end.
const LONGEST: usize = 4095;

impl EtcPath {
    /// Whether it is short enough for a system call. No program can open a longer path by its name.
    pub(crate) fn fits(&self) -> bool {
        self.0.len() <= LONGEST
    }

    /// Its first and last bytes and its length, for messages about a path that is too long.
    pub(crate) fn shortened(&self) -> String {
        const SHOWN: usize = 60;
        let part = |bytes: Option<&[u8]>| Self(bytes.unwrap_or_default().to_vec()).to_string();
        let end = part(self.0.get(self.0.len().saturating_sub(SHOWN)..));
        let levels = self.0.split(|byte| *byte == b'/').count();
        let end = end.trim_start_matches("/etc/");
        format!("{}...{end} ({levels} levels, {} bytes)", part(self.0.get(..SHOWN)), self.0.len())
    }

    /// The path in libostree's messages: relative to `/etc`.
    pub(crate) fn below_etc(&self) -> String {
        self.to_string().trim_start_matches("/etc").trim_start_matches('/').to_owned()
    }

    /// The path for system calls, relative to the directory `/etc`.
    pub(crate) fn relative(&self) -> &OsStr {
        OsStr::from_bytes(if self.0.is_empty() { b"." } else { &self.0 })
    }

    /// The inverse of [`EtcPath::relative`]; `None` if the path is invalid.
    pub(crate) fn from_relative(path: &OsStr) -> Option<Self> {
        let bytes = path.as_bytes();
        if bytes == b"." {
            return Some(Self::default());
        }
        let is_name = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
        bytes.split(|byte| *byte == b'/').all(is_name).then(|| Self(bytes.to_vec()))
    }

    /// Whether it is in the directory `directory`, at any depth.
    pub(crate) fn is_below(&self, directory: &Self) -> bool {
        directory.0.is_empty()
            || self.0.strip_prefix(directory.0.as_slice()).is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    /// The rest of the path below `directory`; `None` if it is not below.
    pub(crate) fn below(&self, directory: &Self) -> Option<&[u8]> {
        self.0.strip_prefix(directory.0.as_slice())?.strip_prefix(b"/")
    }

    /// The path in the form that policies for labels have: absolute.
    pub(crate) fn absolute(&self) -> Vec<u8> {
        match self.0.as_slice() {
            b"" => b"/etc".to_vec(),
            below => [b"/etc/", below].concat(),
        }
    }

    /// The path of `name` in this directory.
    pub(crate) fn join(&self, name: &[u8]) -> Self {
        let mut bytes = self.0.clone();
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self(bytes)
    }

    /// Directory and name; `None` for `/etc` itself.
    pub(crate) fn split(&self) -> Option<(Self, &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (Self(self.0.get(..at).unwrap_or_default().to_vec()), self.0.get(at + 1..).unwrap_or_default()),
            None => (Self::default(), &self.0),
        })
    }
}

impl fmt::Display for EtcPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/etc")?;
        if !self.0.is_empty() {
            f.write_str("/")?;
        }
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || character == '\\' {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for EtcPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_line() {
        let path = EtcPath::default().join(b"dir").join(b"new\nline \xff\\");
        assert_eq!(path.to_string(), "/etc/dir/new\\nline \\xff\\\\");
        assert_eq!(path.split(), Some((EtcPath(b"dir".to_vec()), &b"new\nline \xff\\"[..])));
        assert_eq!(EtcPath::default().to_string(), "/etc");
        assert_eq!(EtcPath::default().split(), None);
    }

    #[test]
    fn a_path_that_is_too_long_is_shown_by_its_ends() {
        let mut path = EtcPath::default().join(b"deep");
        while path.fits() {
            path = path.join(b"dd");
        }
        let shown = path.shortened();
        assert!(
            shown.starts_with("/etc/deep/dd/dd/") && shown.ends_with("/dd/dd (1365 levels, 4096 bytes)"),
            "{shown}"
        );
        assert!(shown.len() < 170, "{shown}");
    }
}
