//! What a report says about a deployment.

use super::date::day;
use crate::facts::Scope;
use crate::failed::cause::Failure;
use crate::failed::survey::{Survey, Surveyed};

/// Version, day, title, and what is special about it.
pub(super) fn facts_of(surveyed: &Surveyed, failure: &Failure, survey: &Survey) -> Vec<String> {
    let listed = &surveyed.listed;
    let mut facts = Vec::new();
    facts.extend(listed.time.and_then(day));
    // Many titles contain it.
    let is_in_title = |version: &&String| surveyed.title.as_ref().is_some_and(|title| title.contains(version.as_str()));
    facts.extend(listed.version.as_ref().filter(|version| !is_in_title(version)).cloned());
    if failure.cause.deployment() == Some(&listed.path) {
        facts.push("failed".to_owned());
    }
    if !surveyed.is_complete {
        facts.push("incomplete".to_owned());
    }
    if matches!(&survey.scope, Scope::Stateroot(asked) if *asked != listed.path.stateroot) {
        facts.push(format!("stateroot {}", listed.path.stateroot));
    }
    facts.extend(surveyed.title.clone());
    facts
}
