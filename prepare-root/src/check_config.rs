//! `--check-config ROOT`: reports errors of a configuration before an initramfs with it boots.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, PrepareRootConf};
use system::{Context, SystemError, dir};

use crate::plan::composefs::{self, ComposefsError};
use crate::read::{commit_signature, config};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// They would stop the boot.
    pub(crate) errors: Vec<String>,
    /// Probably mistakes.
    pub(crate) warnings: Vec<String>,
}

/// Checks the configuration below `root`.
pub(crate) fn check(root: &Path) -> Result<Findings, SystemError> {
    let root_fd = dir::open_root(root).context("open", root.display())?;
    let parsed = config::load(&root_fd);
    let mut warnings = parsed.warnings;
    let mut errors: Vec<String> = parsed.errors.iter().map(ToString::to_string).collect();
    if errors.is_empty() {
        let decision = composefs::decide(&parsed.conf, None);
        let possible = decision.and_then(|decision| composefs::require_possible(&parsed.conf, &decision));
        // Not an error if the kernel command line may switch composefs on.
        let by_argument = parsed.conf.composefs_kernel_argument != KernelArgumentPolicy::Ignore;
        match possible {
            Err(error @ ComposefsError::TransientWithoutComposefs { .. }) if by_argument => {
                warnings.push(format!(
                    "{error}; such a system boots only with ostree.prepare-root.composefs= on the kernel command line"
                ));
            }
            other => errors.extend(other.err().map(|error| error.to_string())),
        }
        errors.extend(unusable_keys(root_fd.as_fd(), &parsed.conf));
    }
    Ok(Findings { errors, warnings })
}

fn unusable_keys(root: impl AsFd, conf: &PrepareRootConf) -> Option<String> {
    if conf.composefs != ComposefsMode::Signed {
        return None;
    }
    let unusable = commit_signature::trusted_keys(root, &conf.composefs_keypath).err()?;
    Some(format!("[composefs] enabled = signed, but {unusable}"))
}
