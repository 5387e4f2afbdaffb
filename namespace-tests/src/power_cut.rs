//! What a power cut leaves: every write of a finalization is logged, the disk is rebuilt as it was after each of them, and looked at
//! as the next boot does: by GRUB, which does not replay journals, and by the kernel, which does.
//!
//! ```text
//! Machine ─→ Recording { base image, log }      blklogwrites below a loop device, while the program runs
//! Recording ─→ cuts ─→ Replay ─→ disk image     a prefix of the log, perhaps without some of what was not yet flushed
//! disk image ─→ GRUB's view ─→ mount (replay) ─→ the kernel's view ─→ fsck ─→ Known::judge ─→ complaints
//! ```

mod check;
mod cuts;
mod judgement;
mod known;
mod layout;
mod log;
mod recorder;
mod recording;
mod replay;
mod root;
mod scratch;
mod states;
mod views;

pub(crate) use cuts::{Numbers, SEED};
pub(crate) use log::{Log, Operation};
pub(crate) use recorder::mark;
pub(crate) use replay::arrivals;

pub use check::{Bad, Checker};
pub use cuts::{Cut, every_cut, sample_of_cuts, shuffled};
pub use known::Known;
pub use recording::{BeginAndEnd, Recording};
pub use scratch::Scratch;
pub use states::States;
