//! What was found on the physical root: values only, so that a plan can be made, compared and printed without a disk.

use ostree_formats::deployment::DeploymentPath;
use serde::Serialize;

/// Who runs this program, which says what the rest of the boot does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Situation {
    /// systemd in an initramfs: it switches root, and mounts `/var` and (with newer libostree) `/boot` later.
    Systemd,
    /// A script in an initramfs, which switches root; nobody mounts anything later.
    Script,
    /// PID 1 without an initramfs: the physical root is `/`.
    Pid1,
}

/// What is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Found {
    /// Nothing.
    #[default]
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// Something else.
    Other,
}

impl Found {
    /// For messages.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Found::Nothing => "nothing",
            Found::Directory => "a directory",
            Found::File => "a file",
            Found::Link => "a symbolic link",
            Found::Other => "a device, fifo or socket",
        }
    }
}

/// What guards a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Seal {
    /// fs-verity, with this digest.
    Sha256([u8; 32]),
    /// fs-verity with another hash algorithm.
    Other(u16),
    /// It is not sealed.
    #[default]
    Missing,
    /// It cannot be sealed: this has no fs-verity.
    Unsupported(Lack),
}

/// What it is that has no fs-verity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lack {
    /// The kernel was built without.
    Kernel,
    /// The kernel has it, and the filesystem not.
    Filesystem,
    /// One of them.
    Unknown,
}

impl Lack {
    /// As the beginning of a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Lack::Kernel => "this kernel has no fs-verity",
            Lack::Filesystem => "the filesystem has no fs-verity (`tune2fs -O verity` gives an ext4 the feature)",
            Lack::Unknown => {
                "this kernel, or the filesystem, has no fs-verity (`tune2fs -O verity` gives an ext4 the feature)"
            }
        }
    }
}

/// The deployment's composefs image; only looked for when one may be wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct ImageFacts {
    pub(crate) found: Found,
    /// Only asked for where it counts.
    pub(crate) seal: Seal,
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SignatureFacts {
    /// The keys were read from this file.
    pub(crate) key_file: String,
    /// The digest of the image that the signed commit names.
    pub(crate) digest: [u8; 32],
}

/// The deployment directory, before anything is mounted over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DeploymentFacts {
    /// Where it is.
    #[cfg_attr(test, serde(deserialize_with = "path_from_text"))]
    pub(crate) path: DeploymentPath,
    /// `st_dev`.
    pub(crate) device: u64,
    /// `st_ino`.
    pub(crate) inode: u64,
    pub(crate) usr: Found,
    pub(crate) etc: Found,
    pub(crate) sysroot: Found,
    pub(crate) var: Found,
    pub(crate) boot: Found,
    /// Only looked for when `/etc` is to be transient.
    pub(crate) usr_etc: Found,
    /// Only looked for as PID 1.
    pub(crate) dev: Found,
    /// Only looked for as PID 1.
    pub(crate) run: Found,
    /// `sbin/init`, links followed; only looked for as PID 1.
    pub(crate) init: bool,
    /// `.usr-ovl-work`: `ostree admin unlock --hotfix` was here.
    pub(crate) hotfix_work: Found,
    /// `.usr-ovl-upper`.
    pub(crate) hotfix_upper: Found,
}

/// Everything that a plan depends on, beside configuration and kernel command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Facts {
    pub(crate) situation: Situation,
    /// Where the physical root is mounted.
    pub(crate) sysroot: String,
    /// The physical root, or its mount, is read-only now.
    pub(crate) sysroot_read_only: bool,
    /// `boot/loader` on the physical root is a symbolic link: `/boot` is on the same filesystem.
    pub(crate) boot_loader_link: bool,
    /// Legacy `[sysroot] readonly` in `ostree/repo/config`; only looked for when the configuration leaves it open.
    pub(crate) repo_readonly: bool,
    /// Why that file does not say it, if it is damaged.
    pub(crate) repo_problem: Option<String>,
    /// `/run/ostree/initramfs-mount-var` exists.
    pub(crate) var_marker: bool,
    /// With systemd `/var` is mounted after the switch: `/etc/fstab` says so, or libostree's generator finds the stateroot in what
    /// was asked for. Of an Android slot it only reads the text of the link.
    pub(crate) var_mounted_later: bool,
    /// The stateroot's `var`.
    pub(crate) stateroot_var: Found,
    /// As PID 1: the kernel mounted a devtmpfs on `/dev`.
    pub(crate) dev_mounted: bool,
    /// The block device of the physical root, if it is on one; only asked for with an image.
    pub(crate) disk: Option<u64>,
    pub(crate) image: ImageFacts,
    /// Only where a signature is demanded.
    pub(crate) signature: Option<SignatureFacts>,
    pub(crate) deployment: DeploymentFacts,
}

#[cfg(test)]
fn path_from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DeploymentPath, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
