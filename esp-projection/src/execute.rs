//! The steps, on FAT.
//!
//! What Linux' vfat does decides how: a rename to a new name writes an entry of the directory with size 0, and only `fsync` of the file
//! fills it in; a file that is replaced or removed must stay open until the directory is durable, or its clusters are free before. A new
//! directory gets its name when its cluster is cleared, and one that boot loaders look into grows before anything in it counts.

mod changes;
mod directory;
mod file;
pub mod mounted;
mod payload;
mod removal;
mod sabotage;
mod steps;
mod sums;
#[cfg(test)]
mod tests;
mod variable;

pub use changes::{Places, carry_out};
pub use directory::sync;
pub use payload::Sources;
pub use steps::execute;
