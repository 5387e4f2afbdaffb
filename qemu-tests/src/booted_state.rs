//! `/run/ostree-booted` as text, so that files of different versions of `ostree` can be compared by key.

use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, Structure, gv};

/// A line `KEY = VALUE` for each entry, sorted.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    let aligned = copy_to_align(bytes);
    let mut lines = Vec::new();
    for entry in gv!("a{sv}").cast(aligned.as_ref()) {
        let (key, variant) = entry.to_tuple();
        let value = if let Some(value) = variant.get(gv!("b")) {
            value.to_bool().to_string()
        } else if let Some(value) = variant.get(gv!("s")) {
            value.to_str().to_owned()
        } else if let Some(value) = variant.get(gv!("(tt)")) {
            let (device, inode) = value.to_tuple();
            format!("({device}, {inode})")
        } else {
            format!("{variant:?}")
        };
        lines.push(format!("{} = {value}", key.to_str()));
    }
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_formats::booted_state::BootedState;

    #[test]
    fn every_kind_of_value() {
        let state = BootedState {
            device: 1,
            inode: 2,
            root_transient: false,
            root_transient_ro: false,
            composefs: None,
            sysroot_ro: true,
            transient_etc: Some("/run/x".to_owned()),
        };
        assert_eq!(
            lines(&state.to_bytes()),
            [
                "backing-root-device-inode = (1, 2)",
                "root.transient = false",
                "root.transient-ro = false",
                "sysroot-ro = true",
                "transient-etc = /run/x",
            ]
        );
        assert_eq!(lines(b""), Vec::<String>::new());
    }
}
