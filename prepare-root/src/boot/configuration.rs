//! Reads the configuration, and remembers what it demands after a failure.

use std::path::Path;

use ostree_formats::prepare_root_conf::{Parsed, PrepareRootConf};
use system::{Context, dir};

use super::known::Known;
use crate::failed::cause::Cause;
use crate::read::config;

/// Reads it, for [`accept`]. `[boot] on-failure` is in effect from here on.
pub(super) fn read(root: &Path, known: &mut Known) -> Result<Parsed, Cause> {
    let root = dir::open_root(root).context("open", root.display())?;
    let parsed = config::load(&root);
    dir::leave_open(root);
    known.on_failure = parsed.conf.on_failure.filter(|_| parsed.errors.is_empty());
    Ok(parsed)
}

/// Whether it can be used.
pub(super) fn accept(parsed: Parsed, known: &mut Known) -> Result<PrepareRootConf, Cause> {
    for warning in &parsed.warnings {
        log::warn!("{warning}");
    }
    if !parsed.errors.is_empty() {
        return Err(Cause::Configuration(parsed.errors));
    }
    known.on_failure = parsed.conf.on_failure;
    Ok(parsed.conf)
}
