//! Finalization on real disks: systems that the guest's own `ostree` has installed and staged an update in, on disk images, in
//! namespaces of this machine's kernel. About a second a run.
//!
//! ```text
//! Story ─→ StagedDisk (cached) ─→ Machine (a copy) ─→ finalize(Ours | Peer) ─→ Finalized { outcome, journal }
//!                                      └─ run(script), strace(…), with_disk(|root| …), boot_default()
//!
//! Machine ─→ listing ─┐
//! Machine ─→ listing ─┴→ compare ─→ what was found, per path
//! ```

mod comparison;
mod entry;
mod finalization;
mod journal;
pub(crate) mod listing;
mod machine;
mod policy;
mod staged_disk;
mod story;

pub use comparison::{Found, compare, show};
pub use finalization::{Contestant, Finalized};
pub use journal::JournalMessage;
pub use listing::{Listing, listing, listing_below};
pub use machine::{Machine, Volume};
pub use policy::SELINUX_POLICY;
pub use staged_disk::StagedDisk;
pub use story::{Boot, Filesystem, Step, Story, Tree};
