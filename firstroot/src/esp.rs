//! `firstroot esp`: the projection of `/boot` onto the ESP, and what boots from it have come to.

mod assess;
mod bless;
mod counted;
mod failure;
mod history;
mod install;
mod make_default;
mod opened;
mod status;
mod sync;
mod trial;

use crate::exit_status::Status;

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Says what is on the ESP, and what boots next.
    Status,
    /// Makes the firmware start systemd-boot.
    Install { dry_run: bool },
    /// Takes it away again.
    Uninstall { dry_run: bool, anyway: bool },
    /// A good boot through systemd-boot makes it the first.
    Confirm,
    /// Makes the ESP what `/boot` is.
    Sync { dry_run: bool },
    /// Says what this boot is.
    Assess,
    /// Says that this boot is good.
    Bless { anyway: bool },
    /// Lets what was rolled back be tried again.
    Retry { digits: Option<String> },
    /// Does not tell of a rollback any more: of a commit that begins so, or the last one.
    Forget { digits: Option<String> },
    /// Makes the deployment that boots instead the default.
    MakeDefault,
    /// Whether this boot is good.
    CheckBoot,
    /// What follows when it is not.
    TrialFailed,
}

pub(crate) fn run(action: Action, json: bool) -> Status {
    match action {
        Action::Status => status::status(json),
        Action::Install { dry_run } => install::install(dry_run, json),
        Action::Uninstall { dry_run, anyway } => install::uninstall(dry_run, anyway, json),
        Action::Confirm => install::confirm(),
        Action::Sync { dry_run } => sync::sync(dry_run, json),
        Action::Assess => failure::report(assess::assess()),
        Action::Bless { anyway } => failure::report(bless::bless(anyway)),
        Action::Retry { digits } => failure::report(bless::retry(digits.as_deref())),
        Action::Forget { digits } => failure::report(bless::forget(digits.as_deref())),
        Action::MakeDefault => failure::report(make_default::make_default()),
        Action::CheckBoot => trial::check(),
        Action::TrialFailed => trial::failed(),
    }
}
