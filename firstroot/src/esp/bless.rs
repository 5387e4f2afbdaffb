//! `esp bless`: this boot is good. `esp retry`: a deployment that was rolled back is tried again.

use esp_projection::assessment::State;
use esp_projection::plan::{bless as steps_of_blessing, retry as steps_of_retry};
use system::{Context, SystemError, dir};

use super::assess;
use super::failure::Failure;
use super::opened::{Opened, Whose, text};

/// There from when this boot was found to be good.
pub(super) const BLESSED: &str = "/run/ostree/blessed";

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
    dir::replace_volatile_file(&run, "blessed", b"", 0o644).context("write", BLESSED)
}

pub(super) fn retry() -> Result<(), Failure> {
    let Some(mut opened) = Opened::open("esp retry", Whose::OfTheConfiguration)? else { return Ok(()) };
    let Some(default) = opened.projection.list.deployments.first().map(|listed| listed.deployment.clone()) else {
        return Err("the list of deployments is empty".to_owned().into());
    };
    let steps = steps_of_retry(&opened.projection.list, &opened.projection.target, &default);
    if steps.is_empty() {
        log::info!(
            "nothing to do: /{default} is not marked as bad, or cannot be tried: it must be able to say that it is good, another \
             deployment must be good, and the boot loader must count"
        );
        return Ok(());
    }
    opened.execute(&steps)?;
    log::info!("/{default} is tried again at the next boot");
    Ok(())
}
