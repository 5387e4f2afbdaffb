//! The stories at whose end ours and the peer leave the same, but for named differences. One more is a few lines.

mod arguments;
mod boot_loaders;
pub(crate) mod boot_room;
mod container_images;
mod etc_changes;
mod etc_kinds;
pub(crate) mod kernels;
mod lists;

use crate::scenario::Scenario;

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    [
        lists::all(),
        arguments::all(),
        kernels::all(),
        boot_loaders::all(),
        boot_room::all(),
        etc_changes::all(),
        etc_kinds::all(),
        container_images::all(),
    ]
    .concat()
}
