//! Says in the journal, or else in the kernel's log, which deployment was chosen.

use system::dir;
use system::journal::Journal;
use system::log::note_in_kernel_log;

/// As libostree's program is called in the journal.
const IDENTIFIER: &str = "ostree-prepare-root";

/// The journal's id for "this deployment was chosen", libostree's as well.
const DEPLOYMENT_CHOSEN: &str = "7170336a73ba4601bad31af888aa0df7";

/// If no journal takes it, as in an initramfs without systemd, the kernel's log gets the text. The journal takes it from there later.
pub(super) fn announce(path: &str, device: u64, inode: u64) {
    let journal = Journal::open();
    if !journal.as_ref().is_some_and(|journal| journal.send(&fields(path, device, inode))) {
        note_in_kernel_log(IDENTIFIER, &text(path));
    }
    dir::leave_open(journal);
}

fn text(path: &str) -> String {
    format!("Resolved OSTree target to: /sysroot/{path}")
}

fn fields(path: &str, device: u64, inode: u64) -> [(&'static str, String); 7] {
    [
        ("MESSAGE", text(path)),
        ("MESSAGE_ID", DEPLOYMENT_CHOSEN.to_owned()),
        ("PRIORITY", "6".to_owned()),
        ("SYSLOG_IDENTIFIER", IDENTIFIER.to_owned()),
        ("DEPLOYMENT_PATH", format!("/{path}")),
        ("DEPLOYMENT_DEVICE", device.to_string()),
        ("DEPLOYMENT_INODE", inode.to_string()),
    ]
}
