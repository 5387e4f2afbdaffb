//! `esp sync`: makes the ESP what `/boot` is. A second run writes nothing.

use esp_projection::further::{Further, Work};
use esp_projection::plan::Step;
use serde::Serialize;

use super::counted::Counted;
use super::failure::{self, Failure};
use super::opened::{NOTHING_TO_DO, Opened, Whose, text};
use crate::exit_status::{SUCCESS, Status};
use crate::show::page::{Page, Style};
use crate::show::print;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Synced {
    /// Whether `esp.conf` asks for a projection: else nothing was looked at.
    enabled: bool,
    partition: Option<String>,
    deployments: Vec<String>,
    steps: Vec<String>,
    /// The ESPs of other disks.
    further: Vec<OfFurther>,
    done: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct OfFurther {
    partition: String,
    steps: Vec<String>,
    /// Why nothing was done.
    problem: Option<String>,
}

impl From<Further> for OfFurther {
    fn from(further: Further) -> Self {
        let (steps, problem) = match further.steps {
            Ok(steps) => (steps.iter().map(Step::to_string).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Self { partition: further.path, steps, problem }
    }
}

pub(super) fn sync(dry_run: bool, json: bool) -> Status {
    let mut status = SUCCESS;
    let printed = synced(dry_run).map(|synced| status = print::print(&synced, json, |page| page_of(&synced, page)));
    match failure::report(printed) {
        SUCCESS => status,
        failed => failed,
    }
}

fn synced(dry_run: bool) -> Result<Synced, Failure> {
    let Some(mut opened) = Opened::open("esp sync", Whose::OfTheConfiguration)? else {
        match Counted::open("esp sync", !dry_run)? {
            Some(counted) if !dry_run => counted.keep()?,
            Some(_) => {}
            None => log::info!("{NOTHING_TO_DO}"),
        }
        return Ok(Synced::default());
    };
    let steps = opened.projection.plan().map_err(text)?;
    if !dry_run {
        opened.execute(&steps)?;
    }
    let further = opened.further(if dry_run { Work::Plan } else { Work::Project });
    let deployments = opened.projection.list.deployments.iter();
    Ok(Synced {
        enabled: true,
        partition: Some(opened.projection.path.clone()),
        deployments: deployments.map(|listed| format!("/{}", listed.deployment)).collect(),
        steps: steps.iter().map(Step::to_string).collect(),
        further: further.into_iter().map(OfFurther::from).collect(),
        done: !dry_run,
    })
}

fn page_of(synced: &Synced, page: &mut Page) {
    let Some(partition) = &synced.partition else { return };
    let mut say = |steps: &[String], has: &str| {
        steps.iter().for_each(|step| page.line(0, Style::Plain, step));
        if steps.is_empty() {
            page.line(0, Style::Good, &format!("{has}: nothing to do"));
        } else if synced.done {
            page.line(0, Style::Good, has);
        }
    };
    say(&synced.steps, &format!("{partition} has the {} deployments of /boot", synced.deployments.len()));
    for further in synced.further.iter().filter(|further| further.problem.is_none()) {
        say(&further.steps, &format!("{}, a further ESP, is as it is to be", further.partition));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_as_the_schema_says() {
        let synced = Synced {
            enabled: true,
            partition: Some("/dev/vda1".to_owned()),
            deployments: vec!["/ostree/deploy/os/deploy/x.0".to_owned()],
            steps: vec!["sync".to_owned()],
            further: vec![
                OfFurther { partition: "/dev/vdb1".to_owned(), steps: vec!["sync".to_owned()], problem: None },
                OfFurther {
                    partition: "/dev/vdc1".to_owned(),
                    steps: Vec::new(),
                    problem: Some("it is full".to_owned()),
                },
            ],
            done: false,
        };
        for synced in [synced, Synced::default()] {
            json_schemas::require("firstroot-esp-sync", &serde_json::to_value(&synced).unwrap()).unwrap();
        }
    }
}
