//! The steps that make an entry good: it is written without its counter, as a new file, and then the counted one goes.

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{ProjectedName, Source, Trial, text};

use super::step::Step;
use crate::assessment::{entry_of, is_of};
use crate::list::List;
use crate::target::Target;

/// The steps; none, if the deployment's entry does not count, or there is none.
pub fn bless(list: &List, target: &Target, deployment: &DeploymentPath) -> Vec<Step> {
    replaced(list, target, deployment, None)
}

/// The steps that make a bad entry count anew; none, if it is not bad, or must not count: if nothing is there to fall back to, or the
/// deployment cannot bless itself.
pub fn retry(list: &List, target: &Target, deployment: &DeploymentPath) -> Vec<Step> {
    let can_bless = list.deployments.iter().any(|listed| listed.deployment == *deployment && listed.can_bless);
    let is_bad = entry_of(deployment, target).is_some_and(|entry| entry.name.is_bad());
    let has_fallback = target.entries.iter().any(|entry| entry.name.tries.is_none() && !is_of(entry, deployment));
    if list.tries == 0 || !can_bless || !is_bad || !has_fallback {
        return Vec::new();
    }
    replaced(list, target, deployment, Some(list.tries))
}

fn replaced(list: &List, target: &Target, deployment: &DeploymentPath, tries: Option<u32>) -> Vec<Step> {
    let Some(listed) = list.deployments.iter().find(|listed| listed.deployment == *deployment) else {
        return Vec::new();
    };
    let Some(entry) = entry_of(deployment, target) else { return Vec::new() };
    let counter = tries.map(|left| Tries { left, done: Some(0) });
    if entry.name.tries == counter {
        return Vec::new();
    }
    let trial = tries.map(|tries| Trial { tries, arguments: &list.trial_arguments });
    let source = Source { entry: &listed.entry, deployment: &listed.deployment, trial };
    let order = entry.name.order;
    let name = ProjectedName::of(&list.token, order, &deployment.id, counter).to_string();
    let old = target.entries.iter().filter(|entry| is_of(entry, deployment)).map(|entry| entry.name.to_string());
    let mut steps = vec![Step::WriteEntry { name: name.clone(), text: text(&list.token, order, &source) }, Step::Sync];
    steps.extend(old.filter(|old| *old != name).map(Step::RemoveEntry));
    steps.push(Step::Sync);
    steps
}
