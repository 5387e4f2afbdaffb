//! What is at a path; "nothing" is a value, too.

use serde::Serialize;
use system::dir::{Kind, Stat};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PathKind {
    /// Nothing.
    #[default]
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

impl PathKind {
    /// For messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            PathKind::Nothing => "nothing",
            PathKind::Directory => "a directory",
            PathKind::File => "a file",
            PathKind::Link => "a symbolic link",
            PathKind::Other => "a device, fifo or socket",
        }
    }
}

impl From<Kind> for PathKind {
    fn from(kind: Kind) -> PathKind {
        match kind {
            Kind::Directory => PathKind::Directory,
            Kind::File => PathKind::File,
            Kind::Link => PathKind::Link,
            Kind::Other => PathKind::Other,
        }
    }
}

/// Of a look-up that may have found nothing.
impl From<Option<Stat>> for PathKind {
    fn from(stat: Option<Stat>) -> PathKind {
        stat.map_or(PathKind::Nothing, |stat| PathKind::from(stat.kind))
    }
}
