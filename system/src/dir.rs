//! Directories held by descriptor: every path is looked up inside one, and cannot leave it.

mod change;
mod lookup;
mod names;
mod read;
mod stat;

pub use crate::kind::Kind;
pub use change::{make, make_unique, remove_file, replace_file, replace_volatile_file, write_all};
pub use lookup::{exists, if_there, leave_open, open, open_directory, open_plainly, open_root, read_link};
pub use names::names;
pub use read::{read, read_no_link};
pub use stat::{Stat, stat_fd, stat_name};
