//! A path that a person names and that the comparison does not list: in a directory that was removed as a whole, or a device.

use std::ffi::OsStr;

use super::compare;
use super::status::{Change, Item};
use super::trees::{Tree, shown};

/// What happened to it. `None`: it is as shipped.
///
/// # Errors
/// Neither tree has it, or it cannot be read.
pub(super) fn item(vendor: &Tree, machine: &Tree, path: &OsStr) -> Result<Option<Item>, String> {
    let look = |tree| compare::look(tree, path).map_err(|error| format!("cannot read {}: {error}", shown(path)));
    let change = match (look(vendor)?, look(machine)?) {
        (None, None) => {
            return Err(format!("{} is neither shipped nor on this machine: is the path right?", shown(path)));
        }
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Removed,
        (Some(one), Some(other)) if compare::differences(&one, &other).is_empty() => return Ok(None),
        _ => Change::Modified,
    };
    Ok(Some(Item { path: shown(path), change, staged: None, relative: path.to_owned() }))
}
