//! The real binary in a mount namespace of this machine's kernel: an initramfs with a physical root at `/sysroot`, made of
//! tmpfs, in a few milliseconds. What needs no booted systemd is tested here, and measured here.

pub mod attempts;
pub mod esp_cut;
pub mod finalize;
pub mod power_cut;

mod disk;
mod initramfs;
mod mount_table;
mod sampling;
mod tree;

pub use disk::{BOOTLINK, Disk, STATEROOT, bootcsum_of};
pub use initramfs::{Initramfs, Outcome, Peer, inside, inside_of};
pub use mount_table::mount_table;
pub use sampling::every_call_is_wanted;
pub use tree::listing;
