//! What the machine changed in `/etc`, as a list of values.

use system::dir::Kind;

use super::path::EtcPath;

/// A name in `/etc` that is not as shipped, or a directory in which there is one. In a list of them a directory stands before what is in
/// it, and nothing else stands in between; the first is `/etc` itself. A list and no tree: `/etc` can be deeper than a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where.
    pub(crate) path: EtcPath,
    /// The index of the directory that it is in; `None`: it is `/etc` itself.
    pub(crate) parent: Option<usize>,
    /// What the merge deployment's tree has there.
    pub(crate) shipped: Option<Kind>,
    /// What the machine has there now; `None`: it was removed. Never [`Kind::Other`].
    pub(crate) machine: Option<Kind>,
    /// Whether it differs itself, and not only something in it.
    pub(crate) changed: bool,
    /// What the new tree has there.
    pub(crate) new: Option<Kind>,
}

/// Of each difference, whether something of the machine's is to be there in the end, and not only something to be absent.
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
