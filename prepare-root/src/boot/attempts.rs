//! Whether this boot is an attempt of a deployment on trial, and what boots if its attempts are used up.

use ostree_formats::boot_attempts::{DIRECTORY, RECORD, Trial};
use ostree_formats::cmdline::{BootTarget, TargetSource};
use system::SystemError;
use system::dir;
use system::power::{self, Power};

use super::target::Target;
use crate::execute::older_list::{self, Boot};
use crate::plan::Counting;
use crate::plan::attempts::{
    Instead, ListExchange, Standing, did_not_come_up, exchange, exchanged_with, instead, standing,
};
use crate::read::attempts;
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;

/// What boots.
#[derive(Debug)]
pub(super) enum Decided {
    /// This one.
    Boot(Box<Chosen>),
    /// Another list, after a reboot.
    OtherList(Box<ListExchange>),
}

/// A deployment, and whether this is an attempt.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) target: Target,
    pub(super) counting: Option<Counting>,
    /// It boots in place of the requested one: a second run must know that.
    pub(super) is_older: bool,
}

/// Decides for a deployment that was requested by its boot link. `may_exchange`: the list was not tried to be exchanged in vain.
pub(super) fn decide(physical: &PhysicalRoot, target: Target, tries: u32, may_exchange: bool) -> Decided {
    let with =
        |target, counting, is_older| Decided::Boot(Box::new(Chosen { target, counting: Some(counting), is_older }));
    let no_attempt = Counting::NoAttempt { tries };
    let requested = target.deployment.path.clone();
    let read = match attempts::read(physical) {
        Ok(read) => read,
        Err(reason) => {
            log::warn!("this boot is not counted: {reason}");
            return with(target, no_attempt, false);
        }
    };
    let boot = read.record.boot.clone();
    let (trial, attempts) = match standing(&requested, read, tries) {
        Standing::NotOnTrial => return with(target, no_attempt, false),
        Standing::Attempt { count, is_counted } => return with(target, Counting::Attempt { count, is_counted }, false),
        Standing::UsedUp(trial, attempts) => (trial, attempts),
    };
    let failed = did_not_come_up(&requested, attempts);
    let found = attempts::fallback(physical, &trial.fallback, &requested.stateroot);
    let why_not = match found.map_or_else(Instead::Nothing, |fallback| instead(&trial, fallback, may_exchange)) {
        Instead::Directly => match older(physical, &trial, &failed) {
            Ok(target) => return with(target, no_attempt, true),
            Err(reason) => reason,
        },
        Instead::ByList => match exchange(trial, attempts, boot) {
            Some(exchange) => return Decided::OtherList(Box::new(exchange)),
            None => "no list was written".to_owned(),
        },
        Instead::Nothing(reason) => reason,
    };
    let warning = format!("{failed}, and boots once more: {why_not}");
    with(Target { warning: Some(warning), ..target }, no_attempt, false)
}

/// The older deployment. Its boot link is not needed.
fn older(physical: &PhysicalRoot, trial: &Trial, failed: &str) -> Result<Target, String> {
    let path = trial.fallback.clone();
    let directory =
        dir::open_directory(physical, path.to_string()).map_err(|error| format!("cannot open /{path}: {error}"))?;
    let asked_for = BootTarget {
        path: format!("/{path}"),
        source: TargetSource::Deployment,
        argument: format!("fallback= in /{DIRECTORY}/{RECORD}"),
    };
    let warning = format!("{failed}: booting /{path}, which has the same kernel");
    Ok(Target {
        deployment: Deployment { path, directory, image: None },
        asked_for,
        recovery: None,
        warning: Some(warning),
    })
}

/// Makes the other list the active one, and reboots. Returns if that is not possible.
pub(super) fn reboot_with_other_list(physical: &PhysicalRoot, exchange: &ListExchange) {
    let ListExchange { instead_of, fallback, attempts: count, .. } = exchange;
    let failed = did_not_come_up(instead_of, *count);
    let exchanged = || -> Result<(), String> {
        let text = |error: SystemError| error.to_string();
        let boot = Boot::open(physical, exchange).map_err(text)?;
        let directory = exchanged_with(exchange, &attempts::lists(physical, boot.directory()).map_err(text)?)?;
        older_list::exchange(&boot, &directory).map_err(text)
    };
    match exchanged() {
        Ok(()) => {
            log::error!("{failed}: rebooting into /{fallback}, which is the default now");
            log::error!("cannot reboot: {}", power::leave(Power::Reboot));
        }
        Err(error) => log::warn!("{failed}, and /{fallback} cannot be made the default: {error}"),
    }
}
