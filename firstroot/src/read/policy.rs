//! What the system demands of its deployments, and how it was booted.

use ostree_formats::booted_state::BootedState;
use ostree_formats::prepare_root_conf::Parsed;
use ostree_sysroot::Roots;
use ostree_sysroot::roots::read_if_there;
use prepare_root::inspect;
use selinux_policy::Config;
use serde::Serialize;

const LIMIT: u64 = 1 << 20;

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Policy {
    /// `[composefs] enabled` of this system's configuration.
    pub(crate) composefs: String,
    /// `/` is an image, for this boot.
    pub(crate) booted_from_image: Option<bool>,
    /// Every object of it is compared with its digest when it is read.
    pub(crate) booted_with_verity: bool,
    /// The file of keys with which its signature was verified.
    pub(crate) booted_signed_by: Option<String>,
    /// `/sysroot` is read-only.
    pub(crate) sysroot_read_only: Option<bool>,
    /// Changes in `/etc` are lost at a reboot.
    pub(crate) etc_is_transient: bool,
    /// The SELinux policy that is configured.
    pub(crate) selinux: Option<String>,
    /// Errors in the configuration, with which no boot succeeds.
    pub(crate) errors: Vec<String>,
}

/// Reads it.
pub(crate) fn read(roots: &Roots) -> Policy {
    let Parsed { conf, errors, .. } = inspect::configuration(&roots.system);
    let booted = read_if_there(&roots.system, &"", "run/ostree-booted", LIMIT).ok().flatten();
    let booted = booted.and_then(|bytes| BootedState::from_bytes(&bytes).ok());
    let selinux = read_if_there(&roots.system, &"", "etc/selinux/config", LIMIT).ok().flatten();
    let selinux = selinux.and_then(|text| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let config = Config::parse(&text);
        config.policy.filter(|_| config.is_on).map(str::to_owned)
    });
    let composefs = booted.as_ref().and_then(|booted| booted.composefs.as_ref());
    Policy {
        composefs: conf.composefs.as_str().to_owned(),
        booted_from_image: booted.as_ref().map(|booted| booted.composefs.is_some()),
        booted_with_verity: composefs.is_some_and(|composefs| composefs.verity),
        booted_signed_by: composefs.and_then(|composefs| composefs.signed_by.clone()),
        sysroot_read_only: booted.as_ref().map(|booted| booted.sysroot_ro),
        etc_is_transient: booted.as_ref().is_some_and(|booted| booted.transient_etc.is_some()),
        selinux,
        errors: errors.iter().map(ToString::to_string).collect(),
    }
}
