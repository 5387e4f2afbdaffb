//! Directory trees: what is in a directory, by names of any bytes, and removing all of it.

pub use crate::inode::{fill, kind_of, open, open_file, set_immutable};
pub use crate::kind::kind;
pub use crate::listing::{Entry, entries, look_up};
pub use crate::removal::{empty, remove};
pub use crate::walk::{TreeWalk, WalkEntry, directories};
