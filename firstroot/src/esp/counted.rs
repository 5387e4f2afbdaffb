//! Boots that the initramfs counts, where no boot loader does.

use esp_projection::assessment::{Assessment, State};
use esp_projection::settings::Settings;
use finalize_staged::inspect::{self, Attempts, Verdict};
use ostree_formats::deployment::DeploymentPath;

use super::failure::Failure;
use super::opened::{Locked, text};
use crate::place::{Place, is_root};

/// The system, its list and what was counted.
pub(super) struct Counted {
    pub(super) locked: Locked,
    pub(super) attempts: Attempts,
}

impl Counted {
    /// `None`: the initramfs does not count. `with_list`: the list in `/boot` is written, too.
    pub(super) fn open(command: &'static str, with_list: bool) -> Result<Option<Self>, Failure> {
        let place = Place::open(None, command).map_err(text)?;
        let attempts = inspect::attempts(&place.roots).map_err(text)?;
        if attempts.boot.is_none() {
            return Ok(None);
        }
        // A boot that counts must end counting, whatever this tree's configuration says.
        let settings = Settings::read(&place.roots.system).or_else(|error| {
            log::warn!("{error}");
            if attempts.is_attempt { Ok(Settings::default()) } else { Err(error) }
        })?;
        settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        if !is_root() {
            return Err("reading what was counted needs root".to_owned().into());
        }
        let locked = Locked::open(place, settings, with_list)?;
        let attempts = inspect::attempts(&locked.place.roots).map_err(text)?;
        Ok(Some(Self { locked, attempts }))
    }

    pub(super) fn assess(&self) -> Assessment {
        let list: Vec<DeploymentPath> =
            self.locked.sysroot.deployments.iter().map(|deployment| deployment.path.clone()).collect();
        judge(&list, &self.locked.sysroot.booted, &self.attempts)
    }

    /// Writes down a verdict, and what is on trial now. The verdict is what matters.
    pub(super) fn say(&self, path: &DeploymentPath, verdict: Verdict) -> Result<(), Failure> {
        let Locked { place, sysroot, .. } = &self.locked;
        inspect::judge(&place.roots, path, verdict).map_err(text)?;
        if let Err(error) = inspect::keep_attempts(&place.roots, sysroot) {
            log::warn!("{error}");
        }
        Ok(())
    }

    /// Writes down what is on trial now.
    pub(super) fn keep(&self) -> Result<(), Failure> {
        Ok(inspect::keep_attempts(&self.locked.place.roots, &self.locked.sysroot)?)
    }
}

/// What this boot is. Pure.
fn judge(list: &[DeploymentPath], booted: &DeploymentPath, attempts: &Attempts) -> Assessment {
    let default = list.first().cloned();
    let boot = attempts.boot.as_ref();
    let rollback = attempts.rollback(list, booted);
    let of_count = attempts.count.as_ref();
    let trial = attempts.record.trial.as_ref().map(|trial| &trial.deployment);
    let is_default = default.as_ref() == Some(booted);
    let is_on_trial = trial == Some(booted);
    let is_used_up = is_on_trial && of_count.is_some_and(|count| count.deployment == *booted && count.is_used_up());
    let state = match () {
        // After a soft reboot another one may run.
        () if attempts.is_attempt && is_on_trial => State::Trial,
        () if rollback.is_some() => State::RolledBack,
        () if is_used_up => State::Bad,
        () if is_default && is_on_trial => State::NotCounted,
        () if is_default => State::Good,
        () => State::Chosen,
    };
    let counted = of_count.filter(|count| trial == Some(&count.deployment));
    Assessment {
        state,
        attempts: counted.map_or(0, |count| count.attempts),
        tries: boot.map_or(0, |boot| boot.tries),
        default,
        from: rollback.map(|trial| trial.deployment),
        entry: None,
    }
}

#[cfg(test)]
mod tests {
    use ostree_formats::boot_attempts::{BootCount, Count, Record, Trial};

    use super::*;

    fn path(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    /// `b` is on trial, `a` is the older one.
    fn state(list: &str, booted: char, count: Option<u32>, is_attempt: bool) -> (State, u32) {
        let list: Vec<DeploymentPath> = list.chars().map(path).collect();
        let trial = Trial { deployment: path('b'), fallback: path('a'), list: None };
        let mut attempts = Attempts::default();
        attempts.boot = Some(BootCount { tries: 3, attempt: count.filter(|_| is_attempt) });
        attempts.is_attempt = is_attempt;
        attempts.record = Record { trial: Some(trial), boot: None, good: vec![path('a')] };
        attempts.count = count.map(|attempts| Count { deployment: path('b'), attempts, tries: 3 });
        let found = judge(&list, &path(booted), &attempts);
        assert_eq!(found.from.is_some(), found.state == State::RolledBack);
        (found.state, found.attempts)
    }

    #[test]
    fn every_state_has_its_case() {
        assert_eq!(state("ba", 'b', Some(1), true), (State::Trial, 1));
        assert_eq!(state("ba", 'b', Some(3), true), (State::Trial, 3));
        // The disk was read-only.
        assert_eq!(state("ba", 'b', None, false), (State::NotCounted, 0));
        // Directly, and by the other list.
        assert_eq!(state("ba", 'a', Some(3), false), (State::RolledBack, 3));
        assert_eq!(state("ab", 'a', Some(3), false), (State::RolledBack, 3));
        // Nothing else could be booted.
        assert_eq!(state("ba", 'b', Some(3), false), (State::Bad, 3));
        // At a boot menu.
        assert_eq!(state("ba", 'a', Some(1), false), (State::Chosen, 1));
        assert_eq!(state("ab", 'b', Some(1), false), (State::Chosen, 1));
        // An update waits, or a rollback was told.
        assert_eq!(state("ab", 'a', None, false), (State::Good, 0));
    }
}
