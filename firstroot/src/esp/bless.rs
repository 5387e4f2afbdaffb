//! `esp bless`: this boot is good. `esp retry`: a deployment that was rolled back is tried again. `esp forget`: nobody is told of it any
//! more.

use std::os::fd::AsFd;

use esp_projection::assessment::{State, entry_of};
use esp_projection::plan::{bless as steps_of_blessing, retry as steps_of_retry};
use finalize_staged::inspect;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::rollbacks::DIRECTORY;
use system::{Context, SystemError, dir};

use super::assess;
use super::failure::Failure;
use super::history::History;
use super::make_default;
use super::opened::{Opened, Whose, text};
use super::trial::BLESSED;
use crate::place::Place;

pub(super) fn bless(anyway: bool) -> Result<(), Failure> {
    let Some(mut opened) = Opened::open("esp bless", Whose::OfATrial)? else { return Ok(()) };
    let assessment = assess::of(&opened)?;
    let booted = opened.sysroot.booted.clone();
    match assessment.state {
        State::Trial | State::NotCounted => {}
        State::Bad | State::Chosen if anyway => {}
        State::Bad => {
            let text = "this deployment is marked as bad; if it is good: firstroot esp bless --anyway";
            return Err(text.to_owned().into());
        }
        State::Good => {
            // A run that was cut may have left the rest to this one.
            end_trial(&opened).map_err(text)?;
            log::info!("nothing to bless: /{booted} is good already");
            return Ok(());
        }
        state => {
            log::info!("nothing to bless: this boot is {state}");
            return Ok(());
        }
    }
    let steps = steps_of_blessing(&opened.projection.list, &opened.projection.target, &booted);
    if steps.is_empty() && assessment.state != State::Chosen {
        let text = format!(
            "the entry of /{booted} cannot be written anew: its files in /boot are not whole (firstroot check)"
        );
        return Err(text.into());
    }
    opened.execute(&steps)?;
    end_trial(&opened).map_err(text)?;
    log::info!("/{booted} is good: its entry does not count any more");
    Ok(())
}

/// From now on a failure waits for a person, as in any other boot.
fn end_trial(opened: &Opened) -> Result<(), SystemError> {
    let run = dir::open_directory(&opened.system, "run/ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(&run, "blessed", b"", 0o644).context("write", BLESSED)?;
    History::open(opened.system.as_fd())?.end_attempts()
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

/// Of several the first one in the list, unless the digits of its checksum say which.
pub(super) fn retry(digits: Option<&str>) -> Result<(), Failure> {
    let Some(mut opened) = Opened::open("esp retry", Whose::OfTheConfigurationWithTheList)? else { return Ok(()) };
    if let Some(staged) = inspect::staged(&opened.place.root)? {
        let text = format!(
            "/{} is staged, and its finalization would remove what is tried again: reboot, or ostree admin undeploy 0",
            staged.state.target.deployment
        );
        return Err(text.into());
    }
    let (list, target) = (&opened.projection.list, &opened.projection.target);
    let is_meant = |path: &DeploymentPath| digits.is_none_or(|digits| path.id.commit.as_str().starts_with(digits));
    let is_bad = |path: &DeploymentPath| entry_of(path, target).is_some_and(|entry| entry.name.is_bad());
    let mut all = list.deployments.iter().map(|listed| &listed.deployment).filter(|path| is_bad(path)).peekable();
    if all.peek().is_none() {
        log::info!("nothing to do: no deployment is marked as bad");
        return Ok(());
    }
    let Some(bad) = all.find(|path| is_meant(path)).cloned() else {
        return Err(format!("no deployment that is marked as bad begins with {:?}", digits.unwrap_or_default()).into());
    };
    drop(all);
    if steps_of_retry(list, target, &bad).is_empty() {
        let text = format!(
            "/{bad} cannot be tried: it must be able to say that it is good, another deployment must be good, and the boot loader must count"
        );
        return Err(text.into());
    }
    History::open(opened.system.as_fd()).and_then(|history| history.retry(&bad)).map_err(text)?;
    // After the rollback another one has become the default. As long as this one is bad, that one boots.
    if opened.projection.list.deployments.first().is_none_or(|first| first.deployment != bad) {
        opened = make_default::make(opened, &bad)?;
    }
    let steps = steps_of_retry(&opened.projection.list, &opened.projection.target, &bad);
    opened.execute(&steps)?;
    log::info!("/{bad} is tried again at the next boot");
    Ok(())
}
