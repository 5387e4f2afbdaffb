//! `--check-config ROOT`: what an initramfs would stumble over at boot, said while it is being built.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::prepare_root_conf::ComposefsMode;
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use crate::composefs;
use crate::config;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Boot would stop.
    pub(crate) errors: Vec<String>,
    /// Probably a mistake.
    pub(crate) warnings: Vec<String>,
}

/// Looks at the configuration below `root`.
pub(crate) fn check(root: &Path) -> Result<Findings, SystemError> {
    let root_fd = dir::open_root(root).context("open", root.display())?;
    let parsed = config::load(&root_fd);
    let mut warnings = parsed.warnings;
    let mut errors: Vec<String> = parsed.errors.iter().map(ToString::to_string).collect();
    if errors.is_empty() {
        let decision = composefs::decide(&parsed.conf, None);
        match decision.and_then(|decision| composefs::require_plain(&parsed.conf, &decision)) {
            Ok(warning) => warnings.extend(warning),
            Err(error) => errors.push(error.to_string()),
        }
        errors.extend(missing_keys(root_fd.as_fd(), &parsed.conf));
    }
    Ok(Findings { errors, warnings })
}

fn missing_keys(root: impl AsFd, conf: &ostree_formats::prepare_root_conf::PrepareRootConf) -> Option<String> {
    let path = &conf.composefs_keypath;
    let missing = conf.composefs == ComposefsMode::Signed && dir::open(root, path, OFlags::PATH).is_err();
    missing.then(|| format!("[composefs] enabled = signed, and its key file {path} is not there"))
}
