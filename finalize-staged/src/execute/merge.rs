//! The new deployment's `/etc`.

use ostree_sysroot::{Roots, deployment};
use system::{Context, SystemError, tree};

use crate::etc_merge::execute;
use crate::finalization::Finalization;
use crate::tell::journal;
use crate::tell::progress::{Phase, Progress};

/// Makes it: from `usr/etc` if the plan requires it, then applies the machine's changes.
pub(crate) fn merge(roots: &Roots, plan: &Finalization, progress: &mut Progress) -> Result<(), SystemError> {
    progress.enter(Phase::Merge);
    let directory = deployment::open(roots, &plan.target)?;
    if plan.reset_etc {
        tree::set_immutable(&directory, false).context("make changeable", format_args!("/{}", plan.target))?;
        execute::reset(&directory, &format!("/{}", plan.target))?;
    }
    let Some(etc) = &plan.etc else { return Ok(()) };
    journal::merging(etc);
    let machine = deployment::open(roots, &etc.from)
        .and_then(|from| tree::open(from, b"etc").context("open", format_args!("/{}/etc", etc.from)))?;
    let new = tree::open(&directory, b"etc").context("open", format_args!("/{}/etc", plan.target))?;
    execute::execute(&etc.plan, machine, new, || progress.step())
}
