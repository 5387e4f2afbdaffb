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
    /// And every object in it is checked by fs-verity.
    Verity,
    /// And a signature of the commit vouches for the image.
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

/// What `ostree.prepare-root.composefs=` may do to the configured mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelArgumentPolicy {
    /// It counts, as in libostree; weakening is warned about.
    #[default]
    Allow,
    /// It counts when it does not weaken; else it is an error.
    Strengthen,
    /// It does not count.
    Ignore,
}

/// What to do after a failed boot was reported.
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
    /// `[sysroot] readonly`, if said.
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
    /// `[composefs] kernel-argument` (ours).
    pub composefs_kernel_argument: KernelArgumentPolicy,
    /// `[composefs] unverified-init` (ours).
    pub composefs_unverified_init: bool,
    /// `[boot] mount` (ours), if said: whether `/boot` is bound here.
    pub boot_mount: Option<bool>,
    /// `[boot] recover` (ours): whether a boot link that is missing may be worked around.
    pub boot_recover: bool,
    /// `[boot] on-failure` (ours).
    pub on_failure: OnFailure,
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
            on_failure: OnFailure::Emergency,
        }
    }
}
