//! The repository's `config`: the one key that matters at boot.

use crate::keyfile::{Keyfile, boolean};

/// Legacy `[sysroot] readonly` of `ostree/repo/config`; new systems say it in `prepare-root.conf`.
///
/// A file that is damaged, or a value that is no boolean, counts as "not said": this is an old fallback on a disk that
/// nobody vouches for, and libostree boots on here, too.
pub fn sysroot_readonly(bytes: &[u8]) -> bool {
    let parsed = Keyfile::parse_merging(bytes).ok();
    parsed.and_then(|k| boolean(k.get("sysroot", "readonly")?.value)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::sysroot_readonly;

    #[test]
    fn only_a_clear_yes_counts() {
        assert!(sysroot_readonly(b"[core]\nmode=bare\n\n[sysroot]\nreadonly=true\n"));
        // As `ostree config get` reads it: somebody appended to the file.
        assert!(sysroot_readonly(b"[sysroot]\nreadonly=false\n[core]\nmode=bare\n[sysroot]\nreadonly=true\n"));
        for text in
            ["", "[sysroot]\nreadonly=yes\n", "[core]\nreadonly=true\n", "garbage", "[sysroot]\nreadonly=false\n"]
        {
            assert!(!sysroot_readonly(text.as_bytes()), "{text:?}");
        }
    }
}
