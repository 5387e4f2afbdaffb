//! What this boot is: good, a trial, rolled back. Pure.
//!
//! Only the entries, and what is booted, count. What the firmware says is evidence that is shown.

use std::fmt;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{deployment_in, tries_in};

use crate::list::List;
use crate::target::{Target, TargetEntry};

/// What this boot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The booted deployment is the default, and does not count.
    Good,
    /// The booted deployment is the default, and counts.
    Trial,
    /// The default was tried as often as it may be, and did not come up.
    RolledBack,
    /// Another one than the default was chosen.
    Chosen,
    /// It was tried as often as it may be, and booted nevertheless: nothing else was left, or a person chose it.
    Bad,
    /// The default has a counter, and the boot loader has not changed it.
    NotCounted,
    /// The booted deployment has no entry.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Trial => "trial",
            Self::RolledBack => "rolled-back",
            Self::Chosen => "chosen",
            Self::Bad => "bad",
            Self::NotCounted => "not-counted",
            Self::Unknown => "unknown",
        })
    }
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What this boot is.
    pub state: State,
    /// How often the default was tried, this boot included; 0: it does not count.
    pub attempts: u32,
    /// How often it may be tried.
    pub tries: u32,
    /// The first one of the list.
    pub default: Option<DeploymentPath>,
    /// With [`State::RolledBack`]: what did not come up.
    pub from: Option<DeploymentPath>,
    /// The name of the booted deployment's entry.
    pub entry: Option<String>,
}

/// Judges. `counted_now`: the boot loader says that it has counted this boot; `None`: it says nothing.
pub fn assess(list: &List, target: &Target, booted: &DeploymentPath, counted_now: Option<bool>) -> Assessment {
    let default = list.deployments.first().map(|listed| listed.deployment.clone());
    let entry = entry_of(booted, target);
    let of_default = default.as_ref().and_then(|default| entry_of(default, target));
    let counter = |entry: Option<&TargetEntry>| entry.and_then(|entry| entry.name.tries.clone());
    let attempts = counter(of_default).and_then(|tries| tries.done).unwrap_or(0);
    let tries = of_default.map_or(0, tries_of);
    let is_default = default.as_ref().is_some_and(|default| default == booted);
    let is_used_up = |entry: &TargetEntry| match &entry.name.tries {
        Some(Tries { left: 0, done }) => done.unwrap_or(0) > tries_of(entry),
        _ => false,
    };
    let state = match entry {
        None => State::Unknown,
        Some(entry) if is_used_up(entry) => State::Bad,
        Some(entry) if is_default && entry.name.tries.is_none() => State::Good,
        Some(_) if is_default && (attempts == 0 || counted_now == Some(false)) => State::NotCounted,
        Some(_) if is_default => State::Trial,
        Some(_) if of_default.is_some_and(|entry| entry.name.is_bad()) => State::RolledBack,
        Some(_) => State::Chosen,
    };
    let from = default.clone().filter(|_| state == State::RolledBack);
    Assessment { state, attempts, tries, default, from, entry: entry.map(|entry| entry.name.to_string()) }
}

/// Whether an entry boots a deployment: the text says it with the stateroot, too, and the name must agree.
pub fn is_of(entry: &TargetEntry, deployment: &DeploymentPath) -> bool {
    entry.name.is_of(&deployment.id) && entry.text.as_deref().and_then(deployment_in).as_ref() == Some(deployment)
}

/// The latest entry of a deployment; of two with the same order, the one that was blessed.
pub fn entry_of<'a>(deployment: &DeploymentPath, target: &'a Target) -> Option<&'a TargetEntry> {
    let of_it = target.entries.iter().filter(|entry| is_of(entry, deployment));
    of_it.max_by_key(|entry| (entry.name.order, entry.name.tries.is_none()))
}

/// How often an entry may be tried: its text says it; else what its name has.
fn tries_of(entry: &TargetEntry) -> u32 {
    let of_name = entry.name.tries.as_ref().map_or(0, |tries| tries.left.saturating_add(tries.done.unwrap_or(0)));
    entry.text.as_deref().and_then(tries_in).unwrap_or(of_name)
}

#[cfg(test)]
mod tests {
    use ostree_formats::bls::BlsEntry;
    use ostree_formats::projected_entry::{ProjectedName, Token};

    use super::*;
    use crate::list::Listed;

    fn deployment(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    /// `b` is the default, with these tries left and done, of three.
    fn state(booted: char, tries: Option<(u32, u32)>, counted_now: Option<bool>) -> (State, u32) {
        let token = Token::from_hash([1; 4]);
        let listed = |digit| Listed {
            deployment: deployment(digit),
            entry: BlsEntry::default(),
            payloads: Vec::new(),
            can_bless: true,
            is_booted: digit == booted,
        };
        let list = List {
            token: token.clone(),
            deployments: vec![listed('b'), listed('a')],
            unreadable: Vec::new(),
            staged: None,
            tries: 3,
            trial_arguments: String::new(),
            is_further: false,
        };
        let entry = |digit, order, tries: Option<(u32, u32)>| TargetEntry {
            name: ProjectedName::of(
                &token,
                order,
                &deployment(digit).id,
                tries.map(|(left, done)| Tries { left, done: Some(done) }),
            ),
            text: Some(format!(
                "# firstroot deployment /{}\n{}linux /x\n",
                deployment(digit),
                if tries.is_some() { "# firstroot tries 3\n" } else { "" }
            )),
        };
        let target = Target { entries: vec![entry('b', 2, tries), entry('a', 1, None)], ..Target::default() };
        let found = assess(&list, &target, &deployment(booted), counted_now);
        (found.state, found.attempts)
    }

    #[test]
    fn every_state_has_its_case() {
        assert_eq!(state('b', None, None), (State::Good, 0));
        assert_eq!(state('b', Some((2, 1)), Some(true)), (State::Trial, 1));
        // The last attempt.
        assert_eq!(state('b', Some((0, 3)), Some(true)), (State::Trial, 3));
        assert_eq!(state('b', Some((0, 4)), None), (State::Bad, 4));
        assert_eq!(state('b', Some((3, 0)), None), (State::NotCounted, 0));
        assert_eq!(state('b', Some((2, 1)), Some(false)), (State::NotCounted, 1));
        assert_eq!(state('a', Some((0, 3)), None), (State::RolledBack, 3));
        assert_eq!(state('a', Some((1, 2)), None), (State::Chosen, 2));
        assert_eq!(state('a', None, None), (State::Chosen, 0));
        assert_eq!(state('c', None, None), (State::Unknown, 0));
    }
}
