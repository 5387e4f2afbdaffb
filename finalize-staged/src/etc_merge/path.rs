//! Paths below `/etc`: bytes, since names there need not be UTF-8.

use std::fmt;

use serde::Serialize;

/// A path relative to `/etc`, without a leading slash; empty is `/etc` itself. Prints as the absolute path, in a form that one
/// line of a log can hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct EtcPath(Vec<u8>);

impl EtcPath {
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
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (self.0.get(..at).unwrap_or_default(), self.0.get(at + 1..).unwrap_or_default()),
            None => (&[], &self.0),
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
        assert_eq!(path.split(), Some((&b"dir"[..], &b"new\nline \xff\\"[..])));
        assert_eq!(EtcPath::default().to_string(), "/etc");
        assert_eq!(EtcPath::default().split(), None);
    }
}
