//! The answer.

use serde::Serialize;

/// What is on the ESP, and what boots next.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    /// Whether `esp.conf` asks for a projection.
    pub(super) enabled: bool,
    pub(super) partition: String,
    pub(super) mounted_at: Vec<String>,
    pub(super) free_bytes: u64,
    /// The list of `/boot`, the default first.
    pub(super) deployments: Vec<String>,
    /// The entries that boot them.
    pub(super) entries: Vec<Entry>,
    /// Entries of others, and unified kernel images.
    pub(super) others: Vec<String>,
    /// Whether the ESP is what `/boot` is; `None`: it cannot be, for the reason in `problem`.
    pub(super) current: Option<bool>,
    pub(super) problem: Option<String>,
    /// The ESPs of other disks.
    pub(super) further: Vec<OfFurther>,
    /// The boot loader that started this boot, as it says.
    pub(super) boot_loader: Option<String>,
    /// systemd-boot on the ESP.
    pub(super) installed: Option<String>,
    pub(super) secure_boot: Option<bool>,
    /// What the firmware starts next.
    pub(super) firmware: Option<String>,
    pub(super) next: Option<Next>,
    pub(super) warnings: Vec<String>,
}

/// A further ESP.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct OfFurther {
    pub(super) partition: String,
    /// Whether it has what has come up of `/boot`; `None`: it cannot, for the reason in `problem`.
    pub(super) current: Option<bool>,
    pub(super) problem: Option<String>,
}

/// One of our entries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Entry {
    pub(super) file: String,
    pub(super) deployment: Option<String>,
    /// What is started; `None`: the entry cannot be read.
    pub(super) kernel: Option<String>,
    /// Whether that is a unified kernel image, in the place of the kernel and the initramfs in `/boot`.
    pub(super) image: bool,
    /// `None`: it does not count.
    pub(super) tries_left: Option<u32>,
    pub(super) tries_done: Option<u32>,
    pub(super) bad: bool,
}

/// What boots next.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Next {
    /// The entry, or the option of the firmware.
    pub(super) entry: String,
    /// `None`: none of ours.
    pub(super) deployment: Option<String>,
    pub(super) why: String,
}
