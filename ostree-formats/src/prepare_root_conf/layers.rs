//! Which drop-ins count, and in which order.

use std::collections::BTreeMap;

/// The two places. A name in `Etc` hides the same name in `Usr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `/usr/lib/ostree/prepare-root.conf.d`: the distribution.
    Usr,
    /// `/etc/ostree/prepare-root.conf.d`: the administrator.
    Etc,
}

/// A drop-in that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    /// Where.
    pub layer: Layer,
    /// File name.
    pub name: String,
}

/// Orders the names in both places: only `*.conf`, sorted by name. A later file overrides an earlier one. If both places have
/// the same name, only the administrator's file is read, so an empty file there switches one off.
pub fn drop_in_order(found: impl IntoIterator<Item = (Layer, String)>) -> Vec<DropIn> {
    let is_drop_in = |name: &str| name.ends_with(".conf") && !name.starts_with('.');
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    for (layer, name) in found.into_iter().filter(|(_, name)| is_drop_in(name)) {
        let counts = layers.entry(name).or_insert(layer);
        *counts = layer.max(*counts);
    }
    layers.into_iter().map(|(name, layer)| DropIn { layer, name }).collect()
}
