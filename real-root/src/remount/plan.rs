//! Which mounts have to be writable, and which read-only.

use ostree_formats::booted_state::MountState;

/// How a mount has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remount {
    pub(super) path: &'static str,
    pub(super) writable: bool,
}

/// In this order. A root that is read-only, and no image, was mounted so on purpose or after an error: nothing is made writable there.
pub(super) fn plan(state: &MountState, root_is_read_only: bool) -> Vec<Remount> {
    if root_is_read_only && !state.composefs {
        return Vec::new();
    }
    let mut wanted = vec![Remount { path: "/sysroot", writable: !state.sysroot_ro }];
    // Only there it is a mount of its own, and no overlay.
    if state.sysroot_ro && state.transient_etc.is_none() {
        wanted.push(Remount { path: "/etc", writable: true });
    }
    // A bind mount of the root's filesystem, which was remounted read-only with it.
    wanted.push(Remount { path: "/var", writable: true });
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(state: &MountState, root_is_read_only: bool) -> String {
        let words = |wanted: &Remount| format!("{} {}", wanted.path, if wanted.writable { "rw" } else { "ro" });
        plan(state, root_is_read_only).iter().map(words).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_root_that_is_read_only_stays_so() {
        let state = MountState::default();
        assert_eq!(planned(&state, false), "/sysroot rw, /var rw");
        assert_eq!(planned(&state, true), "");
        // An image is always read-only.
        assert_eq!(planned(&MountState { composefs: true, ..state }, true), "/sysroot rw, /var rw");
    }

    #[test]
    fn etc_is_a_mount_of_its_own_only_below_a_read_only_sysroot() {
        let state = MountState { sysroot_ro: true, ..MountState::default() };
        assert_eq!(planned(&state, false), "/sysroot ro, /etc rw, /var rw");
        let transient = MountState { transient_etc: Some("/run/ostree/transient-etc".to_owned()), ..state };
        assert_eq!(planned(&transient, false), "/sysroot ro, /var rw");
        assert_eq!(planned(&MountState { sysroot_ro: false, ..transient }, false), "/sysroot rw, /var rw");
    }
}
