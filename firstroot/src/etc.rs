//! `firstroot etc`: what in `/etc` is not as the system ships it, and the way back.

mod compare;
mod diff;
mod explain;
mod restore;
mod saved;
mod special;
mod status;
mod trees;
mod unlisted;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::exit_status::{FAILED, Status};
use crate::place::Place;
use trees::EtcTrees;

/// `etc status`.
pub(crate) fn status(root: Option<&Path>, json: bool) -> Status {
    with_trees(root, |_, trees| status::show(trees, json))
}

/// `etc diff`.
pub(crate) fn diff(root: Option<&Path>, staged: bool, json: bool, paths: &[OsString]) -> Status {
    with_trees(root, |_, trees| diff::show(trees, staged, json, paths))
}

/// `etc restore`.
pub(crate) fn restore(root: Option<&Path>, staged: bool, discard: bool, json: bool, paths: &[OsString]) -> Status {
    with_trees(root, |place, trees| restore::restore(place, trees, restore::How { staged, discard, json }, paths))
}

/// `etc explain`.
pub(crate) fn explain(root: Option<&Path>, json: bool, path: &OsStr) -> Status {
    with_trees(root, |place, trees| explain::show(place, trees, json, path))
}

fn with_trees(root: Option<&Path>, work: impl FnOnce(&Place, &EtcTrees) -> Result<Status, String>) -> Status {
    let result = match Place::open(root, "etc") {
        Ok(place) => EtcTrees::open(&place).and_then(|trees| work(&place, &trees)),
        Err(error) => Err(error.to_string()),
    };
    result.unwrap_or_else(|error| {
        log::error!("{error}");
        FAILED
    })
}
