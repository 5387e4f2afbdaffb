//! `esp sync`: makes the ESP what `/boot` is. A second run writes nothing.

use esp_projection::plan::Step;
use serde::Serialize;

use super::opened::{Opened, Whose, text};
use crate::exit_status::{FAILED, SUCCESS, Status};
use crate::show::page::{Page, Style};
use crate::show::print;

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Synced {
    partition: String,
    deployments: Vec<String>,
    steps: Vec<String>,
    done: bool,
}

pub(crate) fn sync(dry_run: bool, json: bool) -> Status {
    match synced(dry_run) {
        Ok(Some(synced)) => print::print(&synced, json, |page| page_of(&synced, page)),
        Ok(None) => SUCCESS,
        Err(error) => {
            log::error!("{error}");
            FAILED
        }
    }
}

fn synced(dry_run: bool) -> Result<Option<Synced>, String> {
    let Some(mut opened) = Opened::open("esp sync", Whose::OfTheConfiguration)? else { return Ok(None) };
    let steps = opened.projection.plan().map_err(text)?;
    if !dry_run {
        opened.execute(&steps)?;
    }
    Ok(Some(Synced {
        partition: opened.projection.path.clone(),
        deployments: opened
            .projection
            .list
            .deployments
            .iter()
            .map(|listed| format!("/{}", listed.deployment))
            .collect(),
        steps: steps.iter().map(Step::to_string).collect(),
        done: !dry_run,
    }))
}

fn page_of(synced: &Synced, page: &mut Page) {
    if synced.steps.is_empty() {
        let text =
            format!("{} has the {} deployments of /boot: nothing to do", synced.partition, synced.deployments.len());
        page.line(0, Style::Good, &text);
        return;
    }
    for step in &synced.steps {
        page.line(0, Style::Plain, step);
    }
    if synced.done {
        let text = format!("{} has the {} deployments of /boot", synced.partition, synced.deployments.len());
        page.line(0, Style::Good, &text);
    }
}
