//! What the machine changed in `/etc`, as a tree of values.

use system::dir::Kind;

/// A name in `/etc` that is not as shipped, or a directory in which there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its name in its directory; empty for `/etc` itself.
    pub(crate) name: Vec<u8>,
    /// What the merge deployment's tree has there.
    pub(crate) shipped: Option<Kind>,
    /// What the machine has there now; `None`: it was removed. Never [`Kind::Other`].
    pub(crate) machine: Option<Kind>,
    /// Whether it differs itself, and not only something in it.
    pub(crate) changed: bool,
    /// What the new tree has there.
    pub(crate) new: Option<Kind>,
    /// What differs in it, if the machine has a directory there.
    pub(crate) below: Vec<Difference>,
}

impl Difference {
    /// Whether something of the machine's is to be there in the end, and not only something to be absent.
    pub(crate) fn is_kept(&self) -> bool {
        match self.machine {
            None => false,
            Some(Kind::Directory) => self.changed || self.below.iter().any(Self::is_kept),
            Some(_) => true,
        }
    }
}
