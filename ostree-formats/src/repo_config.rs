//! The repository's `config` (ostree.repo-config(5)): the part that boot and shutdown need.

use std::fmt;

use crate::bls::{FieldError, check_field, last_of_each};
use crate::keyfile::{Entry, Keyfile, KeyfileError, boolean, shorten, string_list};

/// Legacy `[sysroot] readonly` of `ostree/repo/config`; new systems have it in `prepare-root.conf`.
///
/// # Errors
/// The file is damaged, or the value is not a boolean. For libostree both mean "not set", and it boots.
pub fn sysroot_readonly(bytes: &[u8]) -> Result<bool, RepoConfigError> {
    let keyfile = Keyfile::parse(bytes)?;
    let Some(entry) = keyfile.get("sysroot", "readonly") else { return Ok(false) };
    let value = entry.text()?;
    let wanted = "must be true or false";
    boolean(value).ok_or_else(|| RepoConfigError::Value { key: "readonly", value: shorten(value), wanted })
}

/// Whether objects are files with the owner, mode and attributes that are in their checksums (`[core] mode`).
///
/// # Errors
/// The file is damaged.
pub fn is_bare(bytes: &[u8]) -> Result<bool, KeyfileError> {
    Ok(Keyfile::parse(bytes)?.get("core", "mode").is_none_or(|entry| entry.value == b"bare"))
}

/// `sysroot.bootloader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootloader {
    /// The one that has a configuration in `/boot`.
    Auto,
    /// One that reads Boot Loader Specification entries itself.
    None,
    /// With a generated `grub.cfg`.
    Grub2,
    /// With a generated `syslinux.cfg`.
    Syslinux,
    /// With a generated `uEnv.txt`.
    Uboot,
    /// Of s390x, which has to be run.
    Zipl,
    /// Of Android, whose partitions have to be written.
    Aboot,
}

const BOOTLOADERS: [(&str, Bootloader); 7] = [
    ("auto", Bootloader::Auto),
    ("none", Bootloader::None),
    ("grub2", Bootloader::Grub2),
    ("syslinux", Bootloader::Syslinux),
    ("uboot", Bootloader::Uboot),
    ("zipl", Bootloader::Zipl),
    ("aboot", Bootloader::Aboot),
];

impl fmt::Display for Bootloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = BOOTLOADERS.iter().find(|(_, bootloader)| bootloader == self).map(|(name, _)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// The group `[sysroot]`, as far as finalization reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoConfig {
    /// Which boot loader.
    pub bootloader: Bootloader,
    /// Paths in boot loader entries begin with `/boot`.
    pub bootprefix: bool,
    /// Keys and values for the entries that are not the default.
    pub bls_append_except_default: Vec<(String, String)>,
    /// The number of tries of a new entry; 0: no boot counting.
    pub boot_counting_tries: u32,
}

/// Why libostree refuses the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoConfigError {
    /// No key file.
    #[error(transparent)]
    Keyfile(#[from] KeyfileError),
    /// An invalid value.
    #[error("sysroot.{key}={value}: {wanted}")]
    Value {
        /// Which key.
        key: &'static str,
        /// The value in the file.
        value: String,
        /// The valid values.
        wanted: &'static str,
    },
    /// No boot loader that this version knows.
    #[error("sysroot.bootloader={0}: must be auto, none, grub2, syslinux, uboot, zipl or aboot")]
    UnknownBootloader(String),
    /// A key or value that a boot loader entry cannot have.
    #[error("sysroot.bls-append-except-default: {0}")]
    Field(#[from] FieldError),
}

impl RepoConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`RepoConfigError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RepoConfigError> {
        let keyfile = Keyfile::parse(bytes)?;
        let get = |key: &'static str| keyfile.get("sysroot", key).map(Entry::text).transpose();
        let wrong = |key, value: &str, wanted| RepoConfigError::Value { key, value: shorten(value), wanted };
        let bootloader = get("bootloader")?.unwrap_or("auto");
        let known = BOOTLOADERS.iter().find(|(name, _)| *name == bootloader).map(|(_, bootloader)| *bootloader);
        let known = known.ok_or_else(|| RepoConfigError::UnknownBootloader(shorten(bootloader)))?;
        let bootprefix = match get("bootprefix")? {
            Some(value) => boolean(value).ok_or_else(|| wrong("bootprefix", value, "must be true or false"))?,
            None => false,
        };
        let list = get("bls-append-except-default")?.unwrap_or_default();
        let no_list =
            || wrong("bls-append-except-default", list, "must be a list of key=value, separated by semicolons");
        let list = string_list(list).ok_or_else(no_list)?;
        let mut fields = Vec::new();
        for pair in &list {
            let (key, value) = pair.split_once('=').ok_or_else(no_list)?;
            check_field(key, value)?;
            fields.push((key, value));
        }
        let last = last_of_each(&mut fields.iter().map(|(key, _)| *key));
        // The last of two values counts.
        let counts = |(index, (key, _)): &(usize, &(&str, &str))| last.get(key) == Some(&Some(*index));
        let fields = fields.iter().enumerate().filter(counts);
        let bls_append_except_default =
            fields.map(|(_, (key, value))| ((*key).to_owned(), (*value).to_owned())).collect();
        let tries = get("boot-counting-tries")?.unwrap_or("0");
        // libostree's own limit.
        let digits = Some(tries).filter(|tries| tries.bytes().all(|byte| byte.is_ascii_digit()));
        let boot_counting_tries = digits.and_then(|digits| digits.parse().ok()).filter(|tries| *tries <= 5);
        let boot_counting_tries =
            boot_counting_tries.ok_or_else(|| wrong("boot-counting-tries", tries, "must be a number from 0 to 5"))?;
        Ok(Self { bootloader: known, bootprefix, bls_append_except_default, boot_counting_tries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_and_values() {
        let config = RepoConfig::parse(b"[core]\nmode=bare\n").unwrap();
        assert_eq!((config.bootloader, config.bootprefix, config.boot_counting_tries), (Bootloader::Auto, false, 0));
        let text = "[sysroot]\nbootloader=none\nbootprefix=true\nbls-append-except-default=a=1;b=x=y;\nboot-counting-tries=3\n";
        let config = RepoConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(
            (config.bootloader.to_string().as_str(), config.bootprefix, config.boot_counting_tries),
            ("none", true, 3)
        );
        let again = b"[sysroot]\nbls-append-except-default=b=1;a=2;b=3\n";
        let again = RepoConfig::parse(again).unwrap().bls_append_except_default;
        assert_eq!(again, [("a", "2"), ("b", "3")].map(|(key, value)| (key.to_owned(), value.to_owned())));
        let pairs = [("a", "1"), ("b", "x=y")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(config.bls_append_except_default, pairs);
    }

    #[test]
    fn what_no_entry_can_have_and_what_libostree_refuses_is_refused() {
        for (text, message) in [
            (
                "[sysroot]\nbootloader=lilo\n",
                "sysroot.bootloader=lilo: must be auto, none, grub2, syslinux, uboot, zipl or aboot",
            ),
            ("[sysroot]\nbootprefix=yes\n", "sysroot.bootprefix=yes: must be true or false"),
            ("[sysroot]\nboot-counting-tries=6\n", "sysroot.boot-counting-tries=6: must be a number from 0 to 5"),
            ("[sysroot]\nboot-counting-tries=+3\n", "sysroot.boot-counting-tries=+3: must be a number from 0 to 5"),
            ("[sysroot]\nboot-counting-tries=3 \n", "sysroot.boot-counting-tries=3 : must be a number from 0 to 5"),
            (
                "[sysroot]\nbootloader=none \n",
                "sysroot.bootloader=none : must be auto, none, grub2, syslinux, uboot, zipl or aboot",
            ),
            (
                "[sysroot]\nbls-append-except-default=a=1;;b=2\n",
                "sysroot.bls-append-except-default=a=1;;b=2: must be a list of key=value, separated by semicolons",
            ),
            (
                "[sysroot]\nbls-append-except-default=a=1;options\\rx=init=/bin/sh\n",
                r#"sysroot.bls-append-except-default: "options\rx" cannot be a key of a boot loader entry"#,
            ),
            (
                "[sysroot]\nbls-append-except-default=a=1\\noptions x\n",
                r#"sysroot.bls-append-except-default: the value of the key "a" has a line break"#,
            ),
            ("nonsense", "line 1: \"nonsense\" is neither a [group], nor a key=value, nor a comment"),
        ] {
            assert_eq!(RepoConfig::parse(text.as_bytes()).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = RepoConfig::parse(&bytes);
        }
    }

    #[test]
    fn only_a_clear_yes_counts() {
        let sysroot_readonly = |bytes: &[u8]| sysroot_readonly(bytes).map_err(|error| error.to_string());
        assert_eq!(sysroot_readonly(b"[core]\nmode=bare\n\n[sysroot]\nreadonly=true\n"), Ok(true));
        // A comment in Latin-1.
        assert_eq!(sysroot_readonly(b"# f\xfcr alle\n[sysroot]\nreadonly=true\n"), Ok(true));
        let bytes = b"# f\xfcr alle\n[sysroot]\nbootloader=none\n";
        assert_eq!(RepoConfig::parse(bytes).unwrap().bootloader, Bootloader::None);
        assert_eq!(is_bare(bytes), Ok(true));
        assert_eq!(
            RepoConfig::parse(b"[sysroot]\nbootloader=\xfc\n").unwrap_err().to_string(),
            "line 2: not UTF-8 text"
        );
        // As `ostree config get` reads it: somebody appended to the file.
        let appended = b"[sysroot]\nreadonly=false\n[core]\nmode=bare\n[sysroot]\nreadonly=true\n";
        assert_eq!(sysroot_readonly(appended), Ok(true));
        for text in ["", "[core]\nreadonly=true\n", "[sysroot]\nreadonly=false\n"] {
            assert_eq!(sysroot_readonly(text.as_bytes()), Ok(false), "{text:?}");
        }
        for (text, message) in [
            ("[sysroot]\nreadonly=yes\n", "sysroot.readonly=yes: must be true or false"),
            ("garbage", "line 1: \"garbage\" is neither a [group], nor a key=value, nor a comment"),
        ] {
            assert_eq!(sysroot_readonly(text.as_bytes()), Err(message.to_owned()));
        }
    }
}
