//! Executes the steps of a plan, and decides nothing.
//!
//! Everything is prepared as detached mounts and attached to a new root beside the physical root. If a step fails, the new root
//! is unmounted and the physical root is where it was.

mod announcement;
pub(crate) mod attempts;
pub(crate) mod clean_up;
mod init;
mod mounts;
pub(crate) mod older_list;
pub(crate) mod pid1;
pub(crate) mod program;
mod root;
mod run_directory;
mod stage;
mod undo;
mod writable;

use std::ffi::OsString;
use std::path::Path;

use rustix::fs::Mode;
use system::{Context, dir, mount};

use crate::failed::cause::Cause;
use crate::plan::MountPlan;
use crate::plan::step::Step;
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;

use stage::Stage;

/// Executes all steps. As PID 1 it returns only to fail. `is_trial` becomes true if this boot was counted.
///
/// # Errors
/// The step that failed. The mounts are then as before, except as PID 1, where nothing runs afterwards.
pub(crate) fn execute(
    plan: &MountPlan,
    physical: &PhysicalRoot,
    deployment: &Deployment,
    init_arguments: &[OsString],
    is_trial: &mut bool,
) -> Result<(), Cause> {
    // Files and directories get the modes of the plan, whatever umask this process has inherited.
    let for_init = ForInit { arguments: init_arguments, umask: rustix::process::umask(Mode::empty()) };
    let mut stage = Stage::new(physical, deployment, plan.caller)?;
    for step in &plan.steps {
        match step {
            Step::Count { count, is_counted } => *is_trial |= attempts::count_in(&mut stage, count, *is_counted),
            step => execute_step(&mut stage, step, plan, &for_init)?,
        }
    }
    stage.undo.commit();
    dir::leave_open(stage);
    Ok(())
}

/// Arguments and umask of init.
struct ForInit<'a> {
    arguments: &'a [OsString],
    umask: Mode,
}

fn execute_step(stage: &mut Stage<'_>, step: &Step, plan: &MountPlan, for_init: &ForInit<'_>) -> Result<(), Cause> {
    match step {
        Step::Announce { path, device, inode } => announcement::announce(path, *device, *inode),
        Step::NewRun => run_directory::new_run(stage)?,
        Step::Directory { path, mode } => {
            dir::make(&stage.run, path.trim_start_matches("/run/"), *mode).context("make the directory", path)?;
        }
        Step::TransientEtcDirectory => run_directory::transient_etc(stage)?,
        Step::MakePrivate => mount::make_all_private().context("make private", "/ and what is mounted below it")?,
        Step::NewRoot { deployment, at } => root::new_root(stage, deployment, at)?,
        Step::ImageRoot { image: _, at, lower, by_path, transient, verity, access } => {
            let layers = root::Layers { lower, by_path: by_path.as_deref(), transient: *transient };
            let root = root::image_root(stage, layers, *verity, *access);
            let root = root.map_err(|error| Cause::Image {
                deployment: stage.deployment.path.clone(),
                error: Box::new(error),
                at_boot_menu: plan.at_boot_menu,
            })?;
            root::put_image_root(stage, root, at)?;
        }
        Step::LendRun { at } => run_directory::lend_run(stage, at)?,
        Step::Dev { mounted } => mounts::dev(stage, *mounted)?,
        Step::AttachRun => run_directory::attach_run(stage)?,
        Step::PivotRoot => root::pivot(stage)?,
        Step::Bind { source, target, access, slave_and_shared } => {
            mounts::bind(stage, source, target, *access, *slave_and_shared)?;
        }
        Step::Overlay { target, lower, upper, access } => {
            // An overlay on /usr is a hotfix.
            mounts::overlay(stage, target, lower, upper.as_ref(), *access).map_err(|error| match *target {
                "usr" => Cause::Hotfix { deployment: stage.deployment.path.clone(), error: Box::new(error) },
                _ => Cause::System(error),
            })?;
        }
        Step::SysrootReadOnly => {
            mount::set_access(stage.physical, mount::Access::ReadOnly).context("make read-only", "/sysroot")?;
        }
        Step::VolatileRoot { device } => run_directory::volatile_root(stage, *device)?,
        Step::RequireInit { named, others, required, sealed } => {
            init::require(stage, named.as_deref(), others, *required).map_err(|error| Cause::Init {
                deployment: stage.deployment.path.clone(),
                error,
                sealed: *sealed,
                at_boot_menu: plan.at_boot_menu,
            })?;
        }
        // It decides what follows a failure.
        Step::Count { .. } => {}
        Step::NoAttempt { tries } => attempts::no_attempt(&stage.run, *tries),
        Step::BootedState(state) => run_directory::booted_state(stage, state)?,
        Step::RecoveryRecord { text } => run_directory::recovery_record(stage, text)?,
        Step::ChoiceRecord { deployment } => run_directory::choice_record(stage, deployment)?,
        Step::MoveIntoPlace { sysroot, writable } => root::move_into_place(stage, Path::new(sysroot), *writable)?,
        Step::Exec { init } => {
            rustix::process::umask(for_init.umask);
            return Err(Cause::Exec { init, reason: system::exec::exec(init, for_init.arguments) });
        }
    }
    Ok(())
}
