//! `esp bless`: this boot is good. `esp retry`: a deployment that was rolled back is tried again. `esp forget`: nobody is told of it any
//! more.

use std::os::fd::AsFd;

use esp_projection::assessment::{Assessment, State, entry_of};
use esp_projection::further::Work;
use esp_projection::plan::{bless as steps_of_blessing, retry as steps_of_retry};
use finalize_staged::inspect::{self, Verdict};
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::rollbacks::DIRECTORY;
use system::{Context, SystemError, dir};

use super::assess;
use super::counted::Counted;
use super::failure::{self, Failure};
use super::history::History;
use super::make_default;
use super::opened::{Locked, NOTHING_TO_DO, Opened, Whose, text};
use super::trial::BLESSED;
use crate::place::Place;

pub(super) fn bless(anyway: bool) -> Result<(), Failure> {
    if let Some(mut opened) = Opened::open("esp bless", Whose::OfATrial)? {
        let assessment = assess::of(&opened)?;
        end_count(&opened.locked).map_err(text)?;
        if !is_to_be_blessed(&opened.locked, &assessment, anyway)? {
            return Ok(());
        }
        let booted = opened.locked.sysroot.booted.clone();
        let steps = steps_of_blessing(&opened.projection.list, &opened.projection.target, &booted);
        if steps.is_empty() && assessment.state != State::Chosen {
            let text = format!(
                "the entry of /{booted} cannot be written anew: its files in /boot are not whole (firstroot check)"
            );
            return Err(text.into());
        }
        opened.execute(&steps)?;
        blessed(&opened.locked)?;
        project_further(opened);
        return Ok(());
    }
    // Only the physical root has to be written to.
    if let Some(counted) = Counted::open("esp bless", false)? {
        if !is_to_be_blessed(&counted.locked, &counted.assess(), anyway)? {
            return Ok(());
        }
        counted.say(&counted.locked.sysroot.booted, Verdict::Good)?;
        return blessed(&counted.locked);
    }
    log::info!("{NOTHING_TO_DO}");
    Ok(())
}

/// Now that it has come up, it boots from the ESPs of other disks, too.
fn project_further(opened: Opened) {
    if opened.locked.settings.also.is_empty() {
        return;
    }
    match opened.read_again() {
        Ok(opened) => drop(opened.further(Work::Project)),
        // That it has come up is written down.
        Err(error) => drop(failure::report(Err(error))),
    }
}

/// Booted through `/boot`, where the initramfs counts, although there is an ESP by now: that ends, too.
fn end_count(locked: &Locked) -> Result<(), SystemError> {
    if inspect::attempts(&locked.place.roots)?.is_attempt {
        inspect::judge(&locked.place.roots, &locked.sysroot.booted, Verdict::Good)?;
    }
    Ok(())
}

/// Whether this boot needs a blessing, and may have it.
fn is_to_be_blessed(locked: &Locked, assessment: &Assessment, anyway: bool) -> Result<bool, Failure> {
    let booted = &locked.sysroot.booted;
    match assessment.state {
        State::Trial | State::NotCounted => Ok(true),
        State::Bad | State::Chosen if anyway => Ok(true),
        State::Bad => {
            let text = "this deployment is marked as bad; if it is good: firstroot esp bless --anyway";
            Err(text.to_owned().into())
        }
        State::Good => {
            // A run that was cut may have left the rest to this one.
            end_trial(locked).map_err(text)?;
            log::info!("nothing to bless: /{booted} is good already");
            Ok(false)
        }
        state => {
            log::info!("nothing to bless: this boot is {state}");
            Ok(false)
        }
    }
}

fn blessed(locked: &Locked) -> Result<(), Failure> {
    end_trial(locked).map_err(text)?;
    log::info!("/{} is good: it does not count any more", locked.sysroot.booted);
    Ok(())
}

/// From now on a failure waits for a person, as in any other boot.
fn end_trial(locked: &Locked) -> Result<(), SystemError> {
    let run = dir::open_directory(&locked.system, "run/ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(&run, "blessed", b"", 0o644).context("write", BLESSED)?;
    History::open(locked.system.as_fd())?.end_attempts()
}

/// `esp forget`: nobody is told of a rollback any more, and the update may be installed again.
pub(super) fn forget(digits: Option<&str>) -> Result<(), Failure> {
    let place = Place::open(None, "esp forget").map_err(text)?;
    let system = place.roots.system.as_fd();
    let forgotten = History::open(system).and_then(|history| history.forget(digits)).map_err(text)?;
    if forgotten.is_empty() {
        let text = digits.map_or("no update was rolled back, or all of them are forgotten".to_owned(), |digits| {
            format!("no update whose checksum begins with {digits:?} was rolled back: /{DIRECTORY}/rollbacks")
        });
        return Err(text.into());
    }
    assess::take_back_messages(system).map_err(text)?;
    forgotten.iter().for_each(|rollback| log::info!("/{} may be installed again", rollback.from));
    Ok(())
}

/// `esp retry`: of several the first one in the list, unless the digits of its checksum say which.
pub(super) fn retry(digits: Option<&str>) -> Result<(), Failure> {
    if let Some(opened) = Opened::open("esp retry", Whose::OfTheConfigurationWithTheList)? {
        return retry_on_esp(opened, digits);
    }
    if let Some(counted) = Counted::open("esp retry", true)? {
        return retry_counted(counted, digits);
    }
    log::info!("{NOTHING_TO_DO}");
    Ok(())
}

fn retry_on_esp(mut opened: Opened, digits: Option<&str>) -> Result<(), Failure> {
    refuse_if_staged(&opened.locked)?;
    let (list, target) = (&opened.projection.list, &opened.projection.target);
    let is_bad = |path: &DeploymentPath| entry_of(path, target).is_some_and(|entry| entry.name.is_bad());
    let listed = list.deployments.iter().map(|listed| &listed.deployment);
    let Some(bad) = which(listed.filter(|path| is_bad(path)), digits)? else { return Ok(()) };
    if steps_of_retry(list, target, &bad).is_empty() {
        let text = format!(
            "/{bad} cannot be tried: it must be able to say that it is good, another deployment must be good, and the boot loader must count"
        );
        return Err(text.into());
    }
    History::open(opened.locked.system.as_fd()).and_then(|history| history.retry(&bad)).map_err(text)?;
    // After the rollback another one has become the default. As long as this one is bad, that one boots.
    if opened.projection.list.deployments.first().is_none_or(|first| first.deployment != bad) {
        opened = make_default::make(opened, &bad)?;
    }
    let steps = steps_of_retry(&opened.projection.list, &opened.projection.target, &bad);
    opened.execute(&steps)?;
    log::info!("/{bad} is tried again at the next boot");
    Ok(())
}

fn retry_counted(counted: Counted, digits: Option<&str>) -> Result<(), Failure> {
    refuse_if_staged(&counted.locked)?;
    let history = History::open(counted.locked.system.as_fd()).map_err(text)?;
    let rolled_back = history.rolled_back().map_err(text)?;
    let is_bad = |path: &&DeploymentPath| rolled_back.contains(path);
    let listed = counted.locked.sysroot.deployments.iter().map(|deployment| &deployment.path);
    let Some(bad) = which(listed.filter(is_bad), digits)? else { return Ok(()) };
    history.retry(&bad).map_err(text)?;
    inspect::judge(&counted.locked.place.roots, &bad, Verdict::Forgotten).map_err(text)?;
    inspect::announce(&counted.locked.place.roots, &counted.locked.sysroot, &bad);
    let counted = make_default::make_counted(counted, &bad)?;
    counted.say(&bad, Verdict::Forgotten)?;
    let now = inspect::attempts(&counted.locked.place.roots).map_err(text)?;
    if now.record.trial.is_none_or(|trial| trial.deployment != bad) {
        log::warn!(
            "/{bad} boots next, but is not counted: it must be able to say that it is good, and another deployment must be good"
        );
        return Ok(());
    }
    log::info!("/{bad} is tried again at the next boot");
    Ok(())
}

fn refuse_if_staged(locked: &Locked) -> Result<(), Failure> {
    let Some(staged) = inspect::staged(&locked.place.root)? else { return Ok(()) };
    let text = format!(
        "/{} is staged, and its finalization would remove what is tried again: reboot, or ostree admin undeploy 0",
        staged.state.target.deployment
    );
    Err(text.into())
}

/// The one of the bad deployments that is meant; `None`: there is none, which is told.
fn which<'a>(
    bad: impl Iterator<Item = &'a DeploymentPath>,
    digits: Option<&str>,
) -> Result<Option<DeploymentPath>, Failure> {
    let mut bad = bad.peekable();
    if bad.peek().is_none() {
        log::info!("nothing to do: no deployment is marked as bad");
        return Ok(None);
    }
    match bad.find(|path| digits.is_none_or(|digits| path.id.commit.as_str().starts_with(digits))) {
        Some(path) => Ok(Some(path.clone())),
        None => Err(format!("no deployment that is marked as bad begins with {:?}", digits.unwrap_or_default()).into()),
    }
}
