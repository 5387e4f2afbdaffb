//! What the machine changed in `/etc`, as a list of values.

use system::dir::Kind;

use super::path::EtcPath;

/// A name in `/etc` that differs from the shipped tree, or a directory with such a name. A list of them begins with `/etc` itself.
/// The content of a directory follows directly after it. It is a list and not a tree, because `/etc` can be too deep for recursion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where.
    pub(crate) path: EtcPath,
    /// The index of its directory; `None` for `/etc` itself.
    pub(crate) parent: Option<usize>,
    /// Its kind in the merge deployment's tree.
    pub(crate) shipped: Option<Kind>,
    /// Its kind on the machine now; `None`: it was removed. Never [`Kind::Other`].
    pub(crate) machine: Option<Kind>,
    /// Whether it differs itself, and not only its content.
    pub(crate) changed: bool,
    /// Its kind in the new tree.
    pub(crate) new: Option<Kind>,
}

/// For each difference, whether the merge keeps a file of the machine there, and does not only remove files.
pub(crate) fn kept(differences: &[Difference]) -> Vec<bool> {
    let itself = |difference: &Difference| match difference.machine {
        None => false,
        Some(Kind::Directory) => difference.changed,
        Some(_) => true,
    };
    let mut kept: Vec<bool> = differences.iter().map(itself).collect();
    for (index, difference) in differences.iter().enumerate().rev() {
        if kept.get(index) == Some(&true)
            && let Some(parent) = difference.parent.and_then(|parent| kept.get_mut(parent))
        {
            *parent = true;
        }
    }
    kept
}
