//! Messages to the journal that other programs read: libostree's, with its identifiers, fields and words.
//!
//! The field `FIRSTROOT` contains firstroot's version. It marks the messages that firstroot sent.

use std::time::Duration;

use ostree_sysroot::Sysroot;
use system::journal::Journal;

use crate::plan::BootPlan;
use crate::plan::swap::Swap;

const COMPLETE: &str = "dd440e3e549083b63d0efc7dc15255f1";

/// The physical root, with the repository, was synced. libostree's tests count this message.
pub fn synced(time: Duration) {
    write(format!("Completed syncfs() for system repo in {} ms", time.as_millis()), Vec::new());
}

/// The list of `plan` has replaced that of `sysroot`.
pub fn complete(sysroot: &Sysroot, plan: &BootPlan) {
    // libostree's words: it calls an update atomic if no file changes that a boot loader reads.
    let (swapped, atomic, done) = match plan.swap {
        Swap::Loader if plan.boot_loader.is_swapped() => ("yes", "yes", "Transaction complete"),
        Swap::Loader => ("yes", "no", "Bootloader updated"),
        Swap::Bootlinks => ("no", "yes", "Transaction complete"),
    };
    let change = plan.list.len() as i64 - sysroot.deployments.len() as i64;
    send(
        COMPLETE,
        format!(
            "{done}; bootconfig swap: {swapped}; bootversion: boot.{}.{}, deployment count change: {change}",
            plan.bootversion, plan.subbootversion
        ),
        vec![
            ("OSTREE_BOOTLOADER", plan.boot_loader.name().to_owned()),
            ("OSTREE_BOOTLOADER_CONFIG", sysroot.config.bootloader.to_string()),
            ("OSTREE_BOOTLOADER_ATOMIC", atomic.to_owned()),
            ("OSTREE_DID_BOOTSWAP", swapped.to_owned()),
            ("OSTREE_N_DEPLOYMENTS", plan.list.len().to_string()),
        ],
    );
}

/// Sends a message with an identifier, and fields of its own.
pub fn send(id: &str, message: String, fields: Vec<(&str, String)>) {
    let mut all = vec![("MESSAGE_ID", id.to_owned())];
    all.extend(fields);
    write(message, all);
}

fn write(message: String, fields: Vec<(&str, String)>) {
    let mut all = vec![
        ("SYSLOG_IDENTIFIER", "ostree".to_owned()),
        ("FIRSTROOT", env!("CARGO_PKG_VERSION").to_owned()),
        ("PRIORITY", "6".to_owned()),
        ("MESSAGE", message),
    ];
    all.extend(fields);
    if let Some(journal) = Journal::open() {
        journal.send(&all);
    }
}
