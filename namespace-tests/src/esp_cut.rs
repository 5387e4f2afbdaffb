//! What a power cut leaves of an ESP: a guest writes to a FAT whose writes are logged, and the disk is looked at as it was after each of
//! them, as a boot loader does that believes the first FAT and nothing else.
//!
//! ```text
//! Disk ─→ guest ─→ Recording { base image, log, runs }      blklogwrites below the guest's virtio disk
//! Recording ─→ State ─→ Fat ─→ Menu ─→ complaints           a prefix of the log, perhaps without some sectors that were not yet flushed
//! ```

mod disk;
mod fat;
mod judgement;
mod menu;
mod recording;
mod state;

pub use disk::{Bits, Disk, files};
pub use judgement::{Figures, Judge, Left, Seen, look_at};
pub use recording::{Recording, Run};
