//! Names of deployments: stateroot, commit checksum, deploy serial, and the path they make.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Why a name is not valid at its place in the tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("{0:?} is not a SHA-256 checksum (64 lower-case hexadecimal digits)")]
    Checksum(String),
    /// Empty, `.`, `..`, or with a `/` or NUL in it.
    #[error("{0:?} cannot be the name of a stateroot")]
    Stateroot(String),
    /// Not `CHECKSUM.DEPLOYSERIAL`.
    #[error("{0:?} is not the name of a deployment (CHECKSUM.DEPLOYSERIAL)")]
    DeploymentId(String),
    /// Not `ostree/deploy/STATEROOT/deploy/CHECKSUM.DEPLOYSERIAL`.
    #[error("{0:?} is not the path of a deployment (ostree/deploy/STATEROOT/deploy/CHECKSUM.DEPLOYSERIAL)")]
    DeploymentPath(String),
}

/// A SHA-256 in the only form libostree writes: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Checksum(String);

impl Checksum {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From 32 bytes; `None` for another number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == 32).then(|| Self(hexadecimal(bytes)))
    }

    /// Where the object of this checksum and kind (`commit`) is on the physical root.
    pub fn object(&self, kind: &str) -> String {
        let (directory, name) = self.0.split_at_checked(2).unwrap_or_default();
        format!("ostree/repo/objects/{directory}/{name}.{kind}")
    }
}

/// The form in which checksums and digests are shown.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FromStr for Checksum {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Checksum(text.to_owned()))
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a group of deployments that share one `/var`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Stateroot(String);

impl Stateroot {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Stateroot {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text == "." || text == ".." || text.contains(['/', '\0']) {
            Err(NameError::Stateroot(text.to_owned()))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Stateroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `CHECKSUM.DEPLOYSERIAL`: the directory name of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    /// The commit.
    pub commit: Checksum,
    /// Distinguishes deployments of one commit.
    pub deployserial: u32,
}

impl FromStr for DeploymentId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::DeploymentId(text.to_owned());
        let (commit, serial) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self { commit: commit.parse().map_err(|_| wrong())?, deployserial: parse_serial(serial).ok_or_else(wrong)? })
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.commit, self.deployserial)
    }
}

/// Where a deployment is on the physical root.
///
/// Prints as the path relative to it, without a leading slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentPath {
    /// The group whose `/var` it uses.
    pub stateroot: Stateroot,
    /// Its directory name.
    pub id: DeploymentId,
}

impl DeploymentPath {
    /// The stateroot's `var`, relative to the physical root.
    pub fn stateroot_var(&self) -> String {
        format!("ostree/deploy/{}/var", self.stateroot)
    }

    /// The origin file beside the deployment, relative to the physical root.
    pub fn origin_file(&self) -> String {
        format!("{self}.origin")
    }

    /// As many digits of its checksum as a person has to type.
    pub fn digits(&self) -> &str {
        self.id.commit.as_str().get(..8).unwrap_or_default()
    }
}

impl FromStr for DeploymentPath {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::DeploymentPath(text.to_owned());
        let mut parts = text.trim_start_matches('/').split('/');
        let mut next = || parts.next().ok_or_else(wrong);
        let (ostree, deploy, stateroot, deploy_again, id) = (next()?, next()?, next()?, next()?, next()?);
        if ostree != "ostree" || deploy != "deploy" || deploy_again != "deploy" || parts.next().is_some() {
            return Err(wrong());
        }
        Ok(Self { stateroot: stateroot.parse().map_err(|_| wrong())?, id: id.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for DeploymentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ostree/deploy/{}/deploy/{}", self.stateroot, self.id)
    }
}

/// With a leading slash: absolute on the physical root.
impl Serialize for DeploymentPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("/{self}"))
    }
}

/// A serial as libostree prints it: decimal, no sign, no leading zero.
pub(crate) fn parse_serial(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

    #[test]
    fn a_path_is_taken_apart_and_put_together() {
        let text = format!("ostree/deploy/debian/deploy/{SUM}.12");
        let path: DeploymentPath = text.parse().unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(path.stateroot_var(), "ostree/deploy/debian/var");
        assert_eq!(path.id.deployserial, 12);
    }

    #[test]
    fn near_misses_are_refused() {
        for bad in [
            format!("ostree/deploy/debian/deploy/{SUM}"),
            format!("ostree/deploy/debian/deploy/{SUM}.01"),
            format!("ostree/deploy/debian/deploy/{SUM}.-1"),
            format!("ostree/deploy/debian/deploy/{SUM}.99999999999"),
            format!("ostree/deploy/debian/deploy/{}.0", SUM.to_uppercase()),
            format!("ostree/deploy/../deploy/{SUM}.0"),
            format!("ostree/deploy//deploy/{SUM}.0"),
            format!("ostree/deploy/debian/deploy/{SUM}.0/usr"),
            format!("ostree/deploy/debian/{SUM}.0"),
            String::new(),
        ] {
            assert!(bad.parse::<DeploymentPath>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_valid_path_round_trips(stateroot in "[^/\0]{3,20}", sum in "[0-9a-f]{64}", serial: u32) {
            let text = format!("ostree/deploy/{stateroot}/deploy/{sum}.{serial}");
            prop_assert_eq!(text.parse::<DeploymentPath>().unwrap().to_string(), text);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<DeploymentPath>();
            let _ = text.parse::<DeploymentId>();
        }
    }
}
