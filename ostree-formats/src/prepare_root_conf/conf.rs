//! The configuration as values, with their defaults.

use serde::Serialize;

/// How much composefs is wanted. Ordered from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComposefsMode {
    /// Plain directories.
    #[default]
    No,
    /// If the deployment has an image.
    Maybe,
    /// The image must be there.
    Yes,
    /// As `Yes`, and every object is checked by fs-verity.
    Verity,
    /// As `Verity`, and the commit with the digest of the image is signed.
    Signed,
}

impl ComposefsMode {
    /// The values of `composefs.enabled` and of `ostree.prepare-root.composefs=`.
    pub fn from_value(value: &str) -> Option<Self> {
        match value {
            "no" | "0" | "false" | "off" => Some(Self::No),
            "maybe" => Some(Self::Maybe),
            "yes" | "1" | "true" | "on" => Some(Self::Yes),
            "verity" => Some(Self::Verity),
            "signed" => Some(Self::Signed),
            _ => None,
        }
    }

    /// The value as the documentation spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Maybe => "maybe",
            Self::Yes => "yes",
            Self::Verity => "verity",
            Self::Signed => "signed",
        }
    }
}

/// How `ostree.prepare-root.composefs=` may change the configured mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelArgumentPolicy {
    /// It is used, as in libostree, with a warning if it weakens the mode.
    #[default]
    Allow,
    /// It is used if it does not weaken the mode, and an error otherwise.
    Strengthen,
    /// It is ignored.
    Ignore,
}

/// What to do after the report of a failed boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Exit with an error: systemd goes to `emergency.target`.
    #[default]
    Emergency,
    /// Reboot; a boot loader that counts tries then falls back.
    Reboot,
    /// Power off.
    Poweroff,
}

/// The whole configuration, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrepareRootConf {
    /// `[sysroot] readonly`, if set.
    pub sysroot_readonly: Option<bool>,
    /// `[etc] transient`.
    pub etc_transient: bool,
    /// `[root] transient`.
    pub root_transient: bool,
    /// `[root] transient-ro`.
    pub root_transient_ro: bool,
    /// `[composefs] enabled`.
    pub composefs: ComposefsMode,
    /// `[composefs] keypath`.
    pub composefs_keypath: String,
    /// `[composefs] kernel-argument` (firstroot's).
    pub composefs_kernel_argument: KernelArgumentPolicy,
    /// `[composefs] unverified-init` (firstroot's).
    pub composefs_unverified_init: bool,
    /// `[boot] mount` (firstroot's), if set: whether this program binds `/boot`.
    pub boot_mount: Option<bool>,
    /// `[boot] recover` (firstroot's): whether a deployment may be booted without its boot link.
    pub boot_recover: bool,
    /// `[boot] on-failure` (firstroot's), if set.
    pub on_failure: Option<OnFailure>,
    /// `[rollback] tries` (firstroot's): how often a deployment that was never good may be booted; 0: nothing is counted.
    pub tries: u32,
}

impl Default for PrepareRootConf {
    fn default() -> Self {
        Self {
            sysroot_readonly: None,
            etc_transient: false,
            root_transient: false,
            root_transient_ro: false,
            composefs: ComposefsMode::No,
            composefs_keypath: "/etc/ostree/initramfs-root-binding.key".to_owned(),
            composefs_kernel_argument: KernelArgumentPolicy::Allow,
            composefs_unverified_init: false,
            boot_mount: None,
            boot_recover: true,
            on_failure: None,
            tries: 0,
        }
    }
}
