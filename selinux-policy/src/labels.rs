//! Labels for new files.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use file_contexts::FileKind;
use rustix::io::Errno;
use system::dir::Kind;
use system::{SystemError, xattr};

use crate::policy::Found;

/// The type of a file whose label the kernel does not know.
const UNLABELED: &[u8] = b":unlabeled_t:";

/// The labels for the files of one deployment.
#[derive(Debug)]
pub struct Labels {
    found: Found,
    /// The deployment whose policy is used where this one has no usable label.
    older: Option<OwnedFd>,
    older_found: OnceCell<Found>,
    /// What was refused, so that it is said once.
    refused: RefCell<BTreeSet<String>>,
}

impl Labels {
    /// No labels.
    pub fn none() -> Self {
        Self { found: Found::Nothing, older: None, older_found: OnceCell::new(), refused: RefCell::default() }
    }

    /// The labels of the deployment that is open as `deployment`. If its policy cannot be used, or the kernel refuses a label of it,
    /// files get the label that the deployment `older` has for their path.
    ///
    /// # Errors
    /// As [`Found::of`].
    pub fn of(deployment: impl AsFd, older: Option<OwnedFd>) -> Result<Self, SystemError> {
        Ok(Self { found: Found::of(deployment)?, older, ..Self::none() })
    }

    /// The policy.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Whether files are labelled at all.
    pub fn are_wanted(&self) -> bool {
        !matches!(self.found, Found::Nothing)
    }

    /// Lines of the policy that were passed over because their regex cannot be used.
    pub fn broken(&self) -> Vec<String> {
        match &self.found {
            Found::Policy(policy) => policy.contexts.broken(),
            Found::Nothing | Found::Unusable(_) => Vec::new(),
        }
    }

    /// The label of a path.
    pub fn label(&self, path: &[u8], kind: Kind) -> Option<&str> {
        match &self.found {
            Found::Nothing => None,
            Found::Policy(policy) => policy.contexts.label(path, file_kind(kind)),
            Found::Unusable(_) => self.older_label(path, kind),
        }
    }

    fn older_label(&self, path: &[u8], kind: Kind) -> Option<&str> {
        let found = self.older_found.get_or_init(|| match &self.older {
            Some(older) => Found::of(older).unwrap_or_else(|error| Found::Unusable(error.to_string())),
            None => Found::Nothing,
        });
        match found {
            Found::Policy(policy) => policy.contexts.label(path, file_kind(kind)),
            Found::Nothing | Found::Unusable(_) => None,
        }
    }

    /// Gives an open file or directory the label of `path`.
    pub fn give(&self, file: impl AsFd, path: &[u8], kind: Kind) {
        self.try_to_give(path, kind, &mut |label| xattr::set(&file, xattr::LABEL, label));
    }

    /// The same for the symbolic link `name` in `directory`.
    pub fn give_link(&self, directory: impl AsFd, name: &[u8], path: &[u8]) {
        let directory = directory.as_fd();
        self.try_to_give(path, Kind::Link, &mut |label| xattr::set_of_link(directory, name, xattr::LABEL, label));
    }

    /// The same for `name` in `directory`, of any kind, without opening it.
    pub fn give_by_name(&self, directory: impl AsFd, name: &[u8], path: &[u8], kind: Kind) {
        let directory = directory.as_fd();
        self.try_to_give(path, kind, &mut |label| xattr::set_of_link(directory, name, xattr::LABEL, label));
    }

    /// Gives an open file the label of `path` if it has none, or one that its kernel does not know.
    pub fn give_if_missing(&self, file: impl AsFd, path: &[u8], kind: Kind) {
        if self.are_wanted() && is_missing(&of(&file)) {
            self.give(file, path, kind);
        }
    }

    /// The same for a link.
    pub fn give_link_if_missing(&self, directory: impl AsFd, name: &[u8], path: &[u8]) {
        if self.are_wanted() && is_missing(&of_link(&directory, name)) {
            self.give_link(directory, name, path);
        }
    }

    /// Gives a copy, whose label is `copied`, the label of `path` if the original `original` had none, or if it was not copied.
    pub fn complete(&self, original: &Label, copied: &Label, give: impl FnOnce(&Self)) {
        if is_missing(copied) || (original != copied && original.is_ok()) {
            give(self);
        }
    }

    fn try_to_give(&self, path: &[u8], kind: Kind, set: &mut dyn FnMut(&[u8]) -> Result<(), Errno>) {
        let Some(label) = self.label(path, kind) else { return };
        // The kernel stores a label with the zero at its end; libselinux does so, too.
        let mut set = |label: &str| set(&[label.as_bytes(), b"\0"].concat());
        let Err(error) = set(label) else { return };
        // A filesystem without labels, or a link without /proc.
        if matches!(error, Errno::OPNOTSUPP | Errno::NOENT) {
            return;
        }
        let older = self.older_label(path, kind).filter(|older| *older != label);
        let instead = older.filter(|older| set(older).is_ok());
        self.say(path, label, error, instead);
    }

    fn say(&self, path: &[u8], label: &str, error: Errno, instead: Option<&str>) {
        if !self.refused.borrow_mut().insert(label.to_owned()) {
            return;
        }
        let path = String::from_utf8_lossy(path);
        let why = match error {
            Errno::INVAL => "the running policy does not know it".to_owned(),
            other => other.to_string(),
        };
        match instead {
            Some(instead) => log::warn!("cannot give {path} the label {label} ({why}): it gets {instead}"),
            None => log::warn!("cannot give {path} the label {label} ({why}): it keeps the one that it was made with"),
        }
    }
}

/// The label of a file, as its kernel tells it.
pub type Label = Result<Option<Vec<u8>>, Errno>;

/// The label of an open file.
pub fn of(file: impl AsFd) -> Label {
    xattr::get(file, xattr::LABEL)
}

/// The label of the symbolic link `name`.
pub fn of_link(directory: impl AsFd, name: &[u8]) -> Label {
    xattr::get_of_link(directory.as_fd(), name, xattr::LABEL)
}

/// Whether a label is missing, or is not known to the kernel. After an error it is not known, and stays.
fn is_missing(label: &Label) -> bool {
    match label {
        Ok(None) => true,
        Ok(Some(label)) => label.is_empty() || label.windows(UNLABELED.len()).any(|part| part == UNLABELED),
        Err(_) => false,
    }
}

fn file_kind(kind: Kind) -> Option<FileKind> {
    Some(match kind {
        Kind::Directory => FileKind::Directory,
        Kind::File => FileKind::File,
        Kind::Link => FileKind::Link,
        Kind::Other => return None,
    })
}
