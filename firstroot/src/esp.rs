//! `firstroot esp`: the projection of `/boot` onto the ESP, and what boots from it have come to.

mod assess;
mod bless;
mod failure;
mod opened;
mod sync;
mod trial;

use crate::exit_status::Status;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Makes the ESP what `/boot` is.
    Sync { dry_run: bool },
    /// Says what this boot is.
    Assess,
    /// Says that this boot is good.
    Bless { anyway: bool },
    /// Lets the default be tried again.
    Retry,
    /// Whether this boot is good.
    CheckBoot,
    /// What follows when it is not.
    TrialFailed,
}

pub(crate) fn run(action: Action, json: bool) -> Status {
    match action {
        Action::Sync { dry_run } => sync::sync(dry_run, json),
        Action::Assess => failure::report(assess::assess()),
        Action::Bless { anyway } => failure::report(bless::bless(anyway)),
        Action::Retry => failure::report(bless::retry()),
        Action::CheckBoot => trial::check(),
        Action::TrialFailed => trial::failed(),
    }
}
