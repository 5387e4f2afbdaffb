//! Which deployment is on trial where the boot loader does not count, and which one boots if it does not come up: pure.

use ostree_formats::boot_attempts::{Count, Record, Trial};
use ostree_formats::deployment::DeploymentPath;

/// What decides.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The list, the default first.
    pub list: &'a [DeploymentPath],
    /// The booted one.
    pub booted: &'a DeploymentPath,
    /// What was written down before.
    pub record: &'a Record,
    /// How often what was on trial was tried.
    pub count: Option<&'a Count>,
}

impl Situation<'_> {
    /// The trial that has ended with a rollback: what was on trial was tried as often as it may be, and another one runs.
    pub fn rollback(&self) -> Option<&Trial> {
        self.record.trial.as_ref().filter(|trial| {
            let is_used_up = self.count.is_some_and(|count| count.deployment == trial.deployment && count.is_used_up());
            let default = self.list.first();
            is_used_up
                && *self.booted == trial.fallback
                && (default == Some(&trial.deployment) || default == Some(&trial.fallback))
                && self.list.contains(&trial.deployment)
        })
    }

    /// What is written down now, but for the filesystem of `/boot`. `can_bless`: whether a deployment can say that it has come up. A
    /// trial keeps its list, which may be out of date.
    ///
    /// # Errors
    /// Those of `can_bless`.
    pub fn record<E>(&self, can_bless: impl FnOnce(&DeploymentPath) -> Result<bool, E>) -> Result<Record, E> {
        let on_trial = self.record.trial.as_ref().map(|trial| &trial.deployment);
        let mut good: Vec<DeploymentPath> =
            self.record.good.iter().filter(|path| self.list.contains(path)).cloned().collect();
        // It runs, and not because it is tried.
        if on_trial != Some(self.booted) && is_one_line(self.booted) && !good.contains(self.booted) {
            good.push(self.booted.clone());
        }
        let trial = match self.rollback() {
            // Until that is told, and the list says what runs.
            Some(trial) => Some(trial.clone()),
            None => self.trial(&good, can_bless)?,
        };
        Ok(Record { trial, boot: None, good })
    }

    fn trial<E>(
        &self,
        good: &[DeploymentPath],
        can_bless: impl FnOnce(&DeploymentPath) -> Result<bool, E>,
    ) -> Result<Option<Trial>, E> {
        let Some(default) = self.list.first().filter(|path| is_one_line(path) && !good.contains(path)) else {
            return Ok(None);
        };
        let before = self.record.trial.as_ref().filter(|trial| trial.deployment == *default);
        // What was good when the trial began; else what runs; else any.
        let candidates =
            before.map(|trial| &trial.fallback).into_iter().chain(std::iter::once(self.booted)).chain(self.list);
        let is_good = |path: &&DeploymentPath| *path != default && good.contains(path) && self.list.contains(path);
        let Some(fallback) = candidates.into_iter().find(is_good).cloned() else { return Ok(None) };
        if !can_bless(default)? {
            return Ok(None);
        }
        let list = before.filter(|trial| trial.fallback == fallback).and_then(|trial| trial.list.clone());
        Ok(Some(Trial { deployment: default.clone(), fallback, list }))
    }
}

/// Whether a line of the record can have it.
fn is_one_line(path: &DeploymentPath) -> bool {
    !path.stateroot.as_str().contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn path(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    fn paths(digits: &str) -> Vec<DeploymentPath> {
        digits.chars().map(path).collect()
    }

    /// `trial` has the digits of what is on trial and of the fallback, and whether there is a list.
    fn before(good: &str, trial: &str) -> Record {
        let mut digits = trial.chars();
        let trial = digits.next().map(|deployment| Trial {
            deployment: path(deployment),
            fallback: path(digits.next().unwrap()),
            list: digits.next().map(|_| "e".repeat(64).parse().unwrap()),
        });
        Record { trial, boot: None, good: paths(good) }
    }

    fn words(record: &Record) -> String {
        let digit = |path: &DeploymentPath| path.to_string().as_bytes()[24] as char;
        let trial = record.trial.as_ref().map_or_else(String::new, |trial| {
            let list = if trial.list.is_some() { "+" } else { "" };
            format!("{}{}{list}", digit(&trial.deployment), digit(&trial.fallback))
        });
        format!("{} {trial}", record.good.iter().map(digit).collect::<String>())
    }

    fn now(list: &str, booted: char, record: &Record, count: Option<(char, u32)>) -> String {
        let (list, booted) = (paths(list), path(booted));
        let count = count.map(|(digit, attempts)| Count { deployment: path(digit), attempts, tries: 3 });
        let situation = Situation { list: &list, booted: &booted, record, count: count.as_ref() };
        // `d` cannot bless.
        let found = situation.record(|path| Ok::<_, Infallible>(*path != self::path('d'))).unwrap();
        words(&found)
    }

    #[test]
    fn an_update_is_on_trial_until_it_is_good() {
        let nothing = Record::default();
        // The first run, and an update.
        assert_eq!(now("a", 'a', &nothing, None), "a ");
        assert_eq!(now("ba", 'a', &nothing, None), "a ba");
        // It runs, is blessed, and another one comes.
        assert_eq!(now("ba", 'b', &before("a", "ba+"), Some(('b', 1))), "a ba+");
        assert_eq!(now("ba", 'b', &before("ab", ""), None), "ab ");
        assert_eq!(now("cba", 'b', &before("ab", ""), None), "ab cb");
        // What is not in the list any more is forgotten.
        assert_eq!(now("cb", 'b', &before("ab", "ba"), None), "b cb");
    }

    #[test]
    fn only_what_can_bless_and_has_another_one_behind_it() {
        assert_eq!(now("da", 'a', &before("a", ""), None), "a ");
        assert_eq!(now("b", 'b', &before("a", "ba"), None), " ");
        // One that was good is chosen again.
        assert_eq!(now("ab", 'b', &before("ab", ""), None), "ab ");
        // What runs comes before what is first.
        assert_eq!(now("cab", 'b', &before("ab", ""), None), "ab cb");
    }

    #[test]
    fn a_rollback_stays_until_it_is_told() {
        let record = before("a", "ba+");
        // By the list as it is, and after the lists were exchanged.
        assert_eq!(now("ba", 'a', &record, Some(('b', 3))), "a ba+");
        assert_eq!(now("ab", 'a', &record, Some(('b', 3))), "a ba+");
        // It is told: the count is cleared.
        assert_eq!(now("ab", 'a', &record, None), "a ");
        // Another update.
        assert_eq!(now("cab", 'a', &record, Some(('b', 3))), "a ca");
        // It was removed.
        assert_eq!(now("a", 'a', &record, Some(('b', 3))), "a ");
        // It is tried again.
        assert_eq!(now("ba", 'a', &record, None), "a ba+");
        // It boots once more: it is not good because of that.
        assert_eq!(now("ba", 'b', &record, Some(('b', 3))), "a ba+");
    }

    #[test]
    fn what_is_not_counted_is_not_good_either() {
        assert_eq!(now("ba", 'b', &before("a", "ba"), None), "a ba");
    }

    #[test]
    fn a_stateroot_with_a_line_break_is_never_written_down() {
        let odd: DeploymentPath = format!("ostree/deploy/o\ns/deploy/{}.0", "a".repeat(64)).parse().unwrap();
        let list = [odd.clone(), path('a')];
        let situation = Situation { list: &list, booted: &odd, record: &Record::default(), count: None };
        assert_eq!(situation.record(|_| Ok::<_, Infallible>(true)), Ok(Record::default()));
    }
}
