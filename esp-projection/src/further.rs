//! Further ESPs, on other disks: they get what the first one has, after it. An error on one of them is a warning, and stops nothing.

use std::fmt;
use std::os::fd::AsFd;

use ostree_sysroot::Roots;

use crate::execute::Sources;
use crate::execute::mounted::Mounted;
use crate::plan::{self, Step};
use crate::projection::{Projection, ProjectionError, execute_on};
use crate::read::devices::Partition;
use crate::read::partition::{self, NoPartition};
use crate::read::target;

/// What is done with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The steps of a projection are found out.
    Plan,
    /// Whether it can be written to, and has room for the whole list, is found out.
    Check,
    /// It is projected.
    Project,
    /// The steps that remove all of it are found out.
    PlanRemoval,
    /// All of it is removed.
    Remove,
}

/// What has come of it.
#[derive(Debug)]
pub struct Further {
    /// The partition, or, if that is not there, its name in `esp.conf`.
    pub path: String,
    /// The steps, or what is wrong.
    pub steps: Result<Vec<Step>, ProjectionError>,
    /// It may boot a deployment that is not in the list.
    pub may_boot_another: bool,
    /// Why it is one.
    pub role: Role,
}

/// Why a partition is written beside the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `[esp] also=` names it.
    Named,
    /// It is the first one if the machine is booted from it.
    Unnamed,
    /// Its boot loader reads the XBOOTLDR partition that is the first one.
    Beside,
}

impl fmt::Display for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Named | Role::Unnamed => write!(f, "the further ESP {}", self.path),
            Role::Beside => write!(f, "the ESP {} beside the XBOOTLDR partition", self.path),
        }
    }
}

/// Does it with each of the partitions that `also` names, but the first one, and each only once, also if it has two names. If the first one is
/// an XBOOTLDR partition, the ESP beside it is among them if something of ours is left there.
pub fn further(projection: &Projection, roots: &Roots, also: &[String], work: Work) -> Vec<Further> {
    let mut devices = vec![projection.partition.device];
    let mut all = Vec::new();
    if let Some(esp) = &projection.beside {
        devices.push(esp.device);
        let left = left_beside(projection, roots, esp, work);
        all.extend(Some(left).filter(|left| !matches!(&left.steps, Ok(steps) if steps.is_empty())));
    }
    match projection.unnamed.as_slice() {
        [] => {}
        [one] => {
            devices.push(one.device);
            all.push(on(projection, roots, one.clone(), work, Role::Unnamed));
        }
        several => {
            let paths: Vec<&str> = several.iter().map(|one| one.path.as_str()).collect();
            let error = NoPartition::Several(paths.join(", "));
            all.push(failed(paths.join(", "), error, Role::Unnamed));
        }
    }
    for wanted in also {
        let found = partition::named(wanted).map_err(NoPartition::from);
        match found.and_then(|found| found.ok_or_else(|| NoPartition::FurtherNotThere(wanted.clone()))) {
            Ok(partition) if devices.contains(&partition.device) => {}
            Ok(partition) => {
                devices.push(partition.device);
                all.push(on(projection, roots, partition, work, Role::Named));
            }
            Err(error) => all.push(failed(wanted.clone(), error, Role::Named)),
        }
    }
    all
}

/// The boot loader would have both: what is left on the ESP from before would come before what is new on the XBOOTLDR partition. But of a
/// deployment that cannot be read now, the ESP may have the only entry and kernel that are whole.
fn left_beside(projection: &Projection, roots: &Roots, esp: &Partition, work: Work) -> Further {
    let stays = !projection.list.unreadable.is_empty() && matches!(work, Work::Plan | Work::Check | Work::Project);
    let of_removal = match work {
        Work::Project | Work::Remove if !stays => Work::Remove,
        _ => Work::PlanRemoval,
    };
    let mut left = on(projection, roots, esp.clone(), of_removal, Role::Beside);
    if stays && matches!(&left.steps, Ok(steps) if !steps.is_empty()) {
        left.steps = Err(ProjectionError::StaysForUnreadable);
    }
    left
}

fn failed(path: String, error: NoPartition, role: Role) -> Further {
    Further { path, steps: Err(error.into()), may_boot_another: true, role }
}

fn on(projection: &Projection, roots: &Roots, partition: Partition, work: Work, role: Role) -> Further {
    let mut may_boot_another = true;
    let steps = done(projection, roots, &partition, work, &mut may_boot_another);
    Further { path: partition.path, steps, may_boot_another, role }
}

fn done(
    projection: &Projection,
    roots: &Roots,
    partition: &Partition,
    work: Work,
    may_boot_another: &mut bool,
) -> Result<Vec<Step>, ProjectionError> {
    let mut mounted = Mounted::open(partition)?;
    let target = target::target(&mounted, &projection.list.token)?;
    *may_boot_another = plan::may_boot_another(&projection.list, &target);
    let list = match work {
        Work::Check => plan::further_in_the_end(&projection.list),
        _ => plan::further(&projection.list, &projection.target),
    };
    let steps = match work {
        Work::PlanRemoval | Work::Remove => plan::removal(&list, &target),
        // Nothing has come up: what it boots now is no worse.
        _ if list.deployments.is_empty() => Vec::new(),
        _ => plan::plan(&list, &target)?,
    };
    match work {
        Work::Plan | Work::PlanRemoval => {}
        Work::Check => mounted.make_writable()?,
        Work::Project | Work::Remove => {
            let sources = Sources { boot: roots.boot.as_fd(), sysroot: roots.sysroot.as_fd() };
            execute_on(&mut mounted, sources, &steps, &mut || ())?;
            *may_boot_another &= list.deployments.is_empty() && work == Work::Project;
        }
    }
    Ok(steps)
}
