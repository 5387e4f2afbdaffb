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
/// stub
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Bootloader {
    Auto,
    None,
    Grub2,
    Syslinux,
    Uboot,
    Zipl,
    Aboot,
}
impl std::fmt::Display for Bootloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}
/// stub
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct RepoConfig {
    pub bootloader: Bootloader,
    pub bootprefix: bool,
    pub bls_append_except_default: Vec<(String, String)>,
    pub boot_counting_tries: u32,
}
/// stub
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RepoConfigError(String);
impl RepoConfig {
    /// stub
    pub fn parse(bytes: &[u8]) -> Result<Self, RepoConfigError> {
        let k = Keyfile::parse_merging(bytes).map_err(|e| RepoConfigError(e.to_string()))?;
        let g = |key| k.get("sysroot", key).map(|e| e.value);
        let bootloader = match g("bootloader").unwrap_or("auto") {
            "auto" => Bootloader::Auto,
            "none" => Bootloader::None,
            "grub2" => Bootloader::Grub2,
            "syslinux" => Bootloader::Syslinux,
            "uboot" => Bootloader::Uboot,
            "zipl" => Bootloader::Zipl,
            "aboot" => Bootloader::Aboot,
            o => return Err(RepoConfigError(o.to_owned())),
        };
        Ok(Self {
            bootloader,
            bootprefix: g("bootprefix").and_then(boolean).unwrap_or(false),
            bls_append_except_default: g("bls-append-except-default")
                .unwrap_or_default()
                .split(';')
                .filter_map(|p| p.split_once('='))
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .collect(),
            boot_counting_tries: g("boot-counting-tries").and_then(|v| v.parse().ok()).unwrap_or(0),
        })
    }
}
