//! Whether this boot is an attempt of a deployment on trial, and what boots when its attempts are used up. Pure.

use ostree_formats::boot_attempts::{BootFilesystem, Count, OLDER_LIST, Trial};
use ostree_formats::deployment::DeploymentPath;
use serde::Serialize;

use crate::facts::{Attempts, Fallback, Lists};

/// What the requested deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not on trial.
    NotOnTrial,
    /// It is, and this is an attempt.
    Attempt { count: Count, is_counted: bool },
    /// It was tried as often as it may be.
    UsedUp(Trial, u32),
}

/// What is done in place of one more attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instead {
    /// The older deployment boots now.
    Directly,
    /// The list with the older one first becomes the active one, and the machine reboots.
    ByList,
    /// Neither is possible: the deployment on trial boots once more.
    Nothing(String),
}

/// The exchange of lists, as a value that can be printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct ListExchange {
    /// What did not come up.
    #[serde(serialize_with = "absolute")]
    pub(crate) instead_of: DeploymentPath,
    /// What boots afterwards.
    #[serde(serialize_with = "absolute")]
    pub(crate) fallback: DeploymentPath,
    pub(crate) attempts: u32,
    /// The digest of the list that the other one was made for.
    pub(crate) list: String,
    /// The UUID of the filesystem of `/boot`, if it is one of its own.
    pub(crate) boot: Option<String>,
    /// Its type.
    #[serde(skip)]
    pub(crate) fstype: Option<String>,
}

fn absolute<S: serde::Serializer>(path: &DeploymentPath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("/{path}"))
}

/// What `requested` is. `tries`: how often a deployment may be tried.
pub(crate) fn standing(requested: &DeploymentPath, attempts: Attempts, tries: u32) -> Standing {
    let Some(trial) = attempts.record.trial.filter(|trial| trial.deployment == *requested) else {
        return Standing::NotOnTrial;
    };
    let so_far = attempts.count.filter(|count| count.deployment == *requested).map_or(0, |count| count.attempts);
    // A boot counts once.
    if let Some(attempts) = attempts.of_this_boot.filter(|attempt| *attempt == so_far) {
        return Standing::Attempt { count: Count { deployment: requested.clone(), attempts, tries }, is_counted: true };
    }
    if so_far >= tries {
        return Standing::UsedUp(trial, so_far);
    }
    let count = Count { deployment: requested.clone(), attempts: so_far + 1, tries };
    Standing::Attempt { count, is_counted: false }
}

/// What boots in its place. `may_exchange`: the list was not tried to be exchanged in vain.
pub(crate) fn instead(trial: &Trial, fallback: Fallback, may_exchange: bool) -> Instead {
    let older = &trial.fallback;
    if !fallback.exists {
        return Instead::Nothing(format!("/{older}, which would boot in its place, does not exist any more"));
    }
    match &trial.list {
        // It was written because something differs that only the boot loader can change: kernel, initramfs, arguments.
        Some(_) if may_exchange => Instead::ByList,
        _ if fallback.has_this_kernel && fallback.has_this_stateroot => Instead::Directly,
        Some(_) => Instead::Nothing("the list of an older deployment could not be made the active one".to_owned()),
        None => Instead::Nothing(format!(
            "/{older} would boot in its place, but has another kernel or stateroot, and no list was written that begins with it"
        )),
    }
}

/// The exchange for [`Instead::ByList`].
pub(crate) fn exchange(trial: Trial, attempts: u32, boot: Option<BootFilesystem>) -> Option<ListExchange> {
    let (boot, fstype) = boot.map(|boot| (boot.uuid, boot.fstype)).unzip();
    let list = trial.list?.to_string();
    Some(ListExchange { instead_of: trial.deployment, fallback: trial.fallback, attempts, list, boot, fstype })
}

/// Why the other list cannot become the active one; else the directory that it is exchanged with.
pub(crate) fn exchanged_with(exchange: &ListExchange, lists: &Lists) -> Result<String, String> {
    let older = format!("/boot/{OLDER_LIST}");
    match &lists.active {
        Some(active) if active.digest.as_str() == exchange.list => {}
        _ => return Err(format!("{older} was made for another list than the active one")),
    }
    // A boot link can lead elsewhere although no entry has changed.
    if lists.default_of_older.as_ref() != Some(&exchange.fallback) {
        return Err(format!("the default of {older} is another deployment, or cannot be read"));
    }
    if let Some(name) = lists.missing {
        return Err(format!("{older} has no {name}, which the boot loader reads"));
    }
    lists.active.as_ref().map(|active| active.directory.clone()).ok_or_else(|| "there is no active list".to_owned())
}

/// What a person is told.
pub(crate) fn did_not_come_up(deployment: &DeploymentPath, attempts: u32) -> String {
    let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
    format!("/{deployment} did not come up, tried {times}")
}

#[cfg(test)]
mod tests {
    use ostree_formats::boot_attempts::Record;
    use ostree_sysroot::list_digest::ActiveList;

    use super::*;

    fn deployment(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap()
    }

    fn trial(list: Option<char>) -> Trial {
        let list = list.map(|digit| digit.to_string().repeat(64).parse().unwrap());
        Trial { deployment: deployment('b'), fallback: deployment('a'), list }
    }

    /// The number of the attempt; 0: not on trial; the negative number of attempts that are used up.
    fn number(requested: char, count: Option<(char, u32)>, tries: u32) -> i64 {
        number_again(requested, count, tries, None)
    }

    fn number_again(requested: char, count: Option<(char, u32)>, tries: u32, of_this_boot: Option<u32>) -> i64 {
        let count = count.map(|(digit, attempts)| Count { deployment: deployment(digit), attempts, tries: 3 });
        let record = Record { trial: Some(trial(None)), ..Record::default() };
        match standing(&deployment(requested), Attempts { record, count, of_this_boot }, tries) {
            Standing::NotOnTrial => 0,
            Standing::Attempt { count, is_counted } => {
                assert_eq!(is_counted, of_this_boot == Some(count.attempts));
                assert_eq!((&count.deployment, count.tries), (&deployment(requested), tries));
                count.attempts.into()
            }
            Standing::UsedUp(_, attempts) => -i64::from(attempts),
        }
    }

    #[test]
    fn the_attempts_of_the_one_on_trial_are_counted() {
        assert_eq!(number('b', None, 3), 1);
        assert_eq!(number('b', Some(('b', 1)), 3), 2);
        assert_eq!(number('b', Some(('b', 2)), 3), 3);
        assert_eq!(number('b', Some(('b', 3)), 3), -3);
        // The configuration has changed.
        assert_eq!((number('b', Some(('b', 3)), 5), number('b', Some(('b', 3)), 1)), (4, -3));
        // The count of an earlier trial.
        assert_eq!(number('b', Some(('c', 3)), 3), 1);
        // Another run in the same boot, of the last attempt as well.
        assert_eq!(number_again('b', Some(('b', 2)), 3, Some(2)), 2);
        assert_eq!(number_again('b', Some(('b', 3)), 3, Some(3)), 3);
        // Others are not on trial, whatever was counted.
        assert_eq!((number('a', Some(('b', 1)), 3), number('a', Some(('a', 3)), 3)), (0, 0));
        assert_eq!(standing(&deployment('b'), Attempts::default(), 3), Standing::NotOnTrial);
    }

    #[test]
    fn a_list_is_used_only_for_the_one_that_it_was_made_for() {
        let exchange = exchange(trial(Some('c')), 3, None).unwrap();
        let digest = |digit: char| digit.to_string().repeat(64).parse().unwrap();
        let active = |digit| Some(ActiveList { directory: "loader.1".to_owned(), digest: digest(digit) });
        let lists = Lists { active: active('c'), default_of_older: Some(deployment('a')), missing: None };
        assert_eq!(exchanged_with(&exchange, &lists), Ok("loader.1".to_owned()));
        for other in [
            Lists { active: active('d'), ..lists.clone() },
            Lists { active: None, ..lists.clone() },
            Lists { default_of_older: Some(deployment('b')), ..lists.clone() },
            Lists { default_of_older: None, ..lists.clone() },
            Lists { missing: Some("grub.cfg"), ..lists.clone() },
        ] {
            assert!(exchanged_with(&exchange, &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn what_boots_instead_has_this_kernel_or_is_in_another_list() {
        let fallback = Fallback { exists: true, has_this_kernel: true, has_this_stateroot: true };
        let other_kernel = Fallback { has_this_kernel: false, ..fallback };
        let one = |list, fallback, may_exchange| instead(&trial(list), fallback, may_exchange);
        assert_eq!(one(None, fallback, true), Instead::Directly);
        // Another initramfs, or other arguments.
        assert_eq!(one(Some('c'), fallback, true), Instead::ByList);
        assert_eq!(one(Some('c'), fallback, false), Instead::Directly);
        assert_eq!(one(Some('c'), other_kernel, true), Instead::ByList);
        let other_stateroot = Fallback { has_this_stateroot: false, ..fallback };
        assert_eq!(one(Some('c'), other_stateroot, true), Instead::ByList);
        for (list, fallback) in [
            (None, other_kernel),
            (None, other_stateroot),
            (Some('c'), other_kernel),
            (Some('c'), Fallback { exists: false, ..fallback }),
        ] {
            assert!(matches!(one(list, fallback, false), Instead::Nothing(_)));
        }
    }
}
