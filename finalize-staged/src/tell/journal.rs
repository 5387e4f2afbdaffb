//! Messages to the journal that other programs read: libostree's, with its identifiers, fields and words.
//!
//! `rpm-ostree status` looks for two of them, by their `MESSAGE_ID` and by `SYSLOG_IDENTIFIER=ostree`. The field `FIRSTROOT`
//! contains firstroot's version. It marks the messages that firstroot sent.

use boot_list::execute::journal::send;
use ostree_formats::deployment::DeploymentPath;

use crate::finalization::EtcMerge;

const FINALIZING: &str = "e8646cd63dff4625b77909a8e7a40994";
const MERGED: &str = "d3863baec13e4449ab0384684a8af3a7";
const LABELLING_VAR: &str = "da679b08acd34504b789d96f818ea781";

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

/// The merge of `/etc` begins.
pub(crate) fn merging(etc: &EtcMerge) {
    let plan = &etc.plan;
    // libostree also counts devices, fifos and sockets, although it does not copy them either.
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

/// The stateroot's `/var` is marked as labelled.
pub(crate) fn labelling_var() {
    let text = "Relabeling /var (no stamp file 'var/.ostree-selabeled' found)";
    send(LABELLING_VAR, text.to_owned(), Vec::new());
}
