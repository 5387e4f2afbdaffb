//! Messages to the journal in a form that programs read: libostree's, with its identifiers, fields and words.
//!
//! `rpm-ostree status` looks for two of them, by their `MESSAGE_ID` and by `SYSLOG_IDENTIFIER=ostree`. The field `FIRSTROOT` has our
//! version: by it our messages can be told from libostree's.

use std::time::Duration;

use ostree_formats::deployment::DeploymentPath;
use system::journal::Journal;

use crate::boot_plan::{BootPlan, Swap};
use crate::finalization::EtcMerge;
use crate::sysroot::Sysroot;

const FINALIZING: &str = "e8646cd63dff4625b77909a8e7a40994";
const MERGED: &str = "d3863baec13e4449ab0384684a8af3a7";
const LABELLING_VAR: &str = "da679b08acd34504b789d96f818ea781";
const COMPLETE: &str = "dd440e3e549083b63d0efc7dc15255f1";

/// Finalization has begun.
pub(crate) fn finalizing(target: &DeploymentPath) {
    send(
        FINALIZING,
        "Finalizing staged deployment".to_owned(),
        vec![
            ("OSTREE_OSNAME", target.stateroot.to_string()),
            ("OSTREE_CHECKSUM", target.id.commit.to_string()),
            ("OSTREE_DEPLOYSERIAL", target.id.deployserial.to_string()),
        ],
    );
}

/// What is carried over.
pub(crate) fn merging(etc: &EtcMerge) {
    let plan = &etc.plan;
    // libostree counts devices, fifos and sockets, too, which it does not carry over either.
    let skipped = |shipped: bool| etc.skipped.iter().filter(|skipped| skipped.shipped == shipped).count();
    let counts = [plan.modified.len() + skipped(true), plan.removed.len(), plan.added.len() + skipped(false)];
    let counts = counts.map(|count| count.to_string());
    let [modified, removed, added] = counts;
    send(
        MERGED,
        format!("Copying /etc changes: {modified} modified, {removed} removed, {added} added"),
        vec![("ETC_N_MODIFIED", modified), ("ETC_N_REMOVED", removed), ("ETC_N_ADDED", added)],
    );
}

/// The physical root, with the repository on it, has been written out. libostree's tests count this message.
pub(crate) fn synced(time: Duration) {
    write(format!("Completed syncfs() for system repo in {} ms", time.as_millis()), Vec::new());
}

/// The stateroot's `/var` is marked as labelled.
pub(crate) fn labelling_var() {
    let text = "Relabeling /var (no stamp file 'var/.ostree-selabeled' found)";
    send(LABELLING_VAR, text.to_owned(), Vec::new());
}

/// The new list counts.
pub(crate) fn complete(sysroot: &Sysroot, plan: &BootPlan) {
    // libostree's words: it calls a boot loader atomic when it does not have to touch anything that one reads.
    let (swapped, atomic, done) = match plan.swap {
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
            ("OSTREE_BOOTLOADER", "none".to_owned()),
            ("OSTREE_BOOTLOADER_CONFIG", sysroot.config.bootloader.to_string()),
            ("OSTREE_BOOTLOADER_ATOMIC", atomic.to_owned()),
            ("OSTREE_DID_BOOTSWAP", swapped.to_owned()),
            ("OSTREE_N_DEPLOYMENTS", plan.list.len().to_string()),
        ],
    );
}

fn send(id: &str, message: String, fields: Vec<(&str, String)>) {
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
