//! Sends a message with the deployment to the journal.

use system::dir;
use system::journal::Journal;

/// The journal's id for "this deployment was chosen", libostree's as well.
const DEPLOYMENT_CHOSEN: &str = "7170336a73ba4601bad31af888aa0df7";

/// Does nothing if there is no journal yet.
pub(super) fn announce(path: &str, device: u64, inode: u64) {
    if let Some(journal) = Journal::open() {
        journal.send(&fields(path, device, inode));
        dir::leave_open(journal);
    }
}

fn fields(path: &str, device: u64, inode: u64) -> [(&'static str, String); 7] {
    [
        ("MESSAGE", format!("Resolved OSTree target to: /sysroot/{path}")),
        ("MESSAGE_ID", DEPLOYMENT_CHOSEN.to_owned()),
        ("PRIORITY", "6".to_owned()),
        ("SYSLOG_IDENTIFIER", "ostree-prepare-root".to_owned()),
        ("DEPLOYMENT_PATH", format!("/{path}")),
        ("DEPLOYMENT_DEVICE", device.to_string()),
        ("DEPLOYMENT_INODE", inode.to_string()),
    ]
}
