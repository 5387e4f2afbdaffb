//! A boot from top to bottom.

mod arguments;
mod attempts;
mod chosen;
mod configuration;
mod image;
mod known;
mod prepared_already;
mod target;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ostree_formats::prepare_root_conf::PrepareRootConf;
use ostree_sysroot::boot_links::LookupError;
use system::dir;
use system::proc::Proc;

use crate::execute;
use crate::execute::clean_up::clean_up_interrupted_run;
use crate::facts::{Caller, Facts, SystemdMode};
use crate::failed::cause::{Cause, Failure};
use crate::failed::on_failure;
use crate::plan::attempts::ListExchange;
use crate::plan::{self, Counting, MountPlan, Resolved, recovery};
use crate::read;
use crate::read::deployment::Deployment;
use crate::read::later::systemd_mounts_later;
use crate::read::mount_state::PreparedFor;
use crate::read::physical_root::{PhysicalRoot, PhysicalRootError};
use crate::read::running_system::{physical_root_of_running_system, prepared_already, root_of_running_system};

use arguments::Arguments;
use attempts::{Chosen, Decided};
use target::Target;

pub(crate) use known::Known;

/// The physical root and the arguments of one boot.
#[derive(Debug, Clone)]
pub(crate) struct BootRequest {
    pub(crate) sysroot: PathBuf,
    pub(crate) cmdline: Option<OsString>,
    /// A word for the deployment, which is used instead of the boot link.
    pub(crate) deployment: Option<String>,
    pub(crate) caller: Caller,
    /// Whether `--systemd` leaves it to this program to find out who mounts `/var` and `/boot`.
    pub(crate) systemd: SystemdMode,
}

/// A plan, or why none is needed.
#[derive(Debug)]
pub(crate) enum Planned {
    /// With its physical root and deployment.
    Plan(Box<MountPlan>, PhysicalRoot, Deployment),
    /// `sysroot` is the root of a deployment already.
    PreparedAlready(PreparedFor),
    /// What was requested did not come up as often as it may be tried, and another list boots something else.
    OtherList(Box<ListExchange>, PhysicalRoot),
    /// This is a running system and not an initramfs; its root.
    Running(String),
}

/// Why a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Boot,
    /// A directory is enough, for example an unpacked image.
    Show,
}

impl BootRequest {
    /// Turns the physical root into the root of a deployment. As PID 1 it returns only to fail.
    pub(crate) fn prepare(&self, known: &mut Known, init_arguments: &[OsString]) -> Result<(), Box<Failure>> {
        self.try_to_prepare(known, init_arguments).map_err(|cause| {
            Box::new(Failure {
                cause,
                caller: self.caller,
                sysroot: self.sysroot.clone(),
                asked_for: known.asked_for.clone(),
            })
        })
    }

    fn try_to_prepare(&self, known: &mut Known, init_arguments: &[OsString]) -> Result<(), Cause> {
        clean_up_interrupted_run(&self.sysroot, self.caller)?;
        let planned = self.plan(known, Purpose::Boot).inspect_err(|_| self.count_a_failure(known))?;
        let (plan, physical, deployment) = match planned {
            Planned::Plan(plan, physical, deployment) => (plan, physical, deployment),
            Planned::OtherList(exchange, physical) => {
                known.list_stays = true;
                attempts::reboot_with_other_list(&physical, &exchange);
                // Then the requested one boots.
                return self.try_to_prepare(known, init_arguments);
            }
            Planned::PreparedAlready(prepared) => {
                log::info!("{} is already prepared for {prepared}: nothing to do", self.sysroot.display());
                return Ok(());
            }
            Planned::Running(root) => {
                log::info!("this system is already booted from {root}: nothing to do");
                return Ok(());
            }
        };
        for warning in &plan.warnings {
            log::warn!("{warning}");
        }
        if self.caller == Caller::Script {
            say_to_script(&physical.at.join(deployment.path.to_string()));
        }
        execute::execute(&plan, &physical, &deployment, init_arguments, &mut known.is_trial)?;
        dir::leave_open((physical, deployment));
        Ok(())
    }

    /// An attempt that ends before there is a plan is one, too. Only what was counted reboots: else it would for ever.
    fn count_a_failure(&self, known: &mut Known) {
        let Some(Counting::Attempt { count, is_counted }) = &known.counting else { return };
        let opened =
            Proc::open().map_err(PhysicalRootError::from).and_then(|proc| PhysicalRoot::open(&self.sysroot, proc));
        match opened {
            Ok(physical) => known.is_trial |= execute::attempts::count_a_failure(&physical, count, *is_counted),
            Err(error) => log::warn!("this boot is not counted: {error}"),
        }
    }

    /// Finds out what [`BootRequest::prepare`] would do.
    pub(crate) fn show(&self, known: &mut Known) -> Result<Planned, Cause> {
        let request = BootRequest { sysroot: physical_root_of_running_system(&self.sysroot)?, ..self.clone() };
        request.plan(known, Purpose::Show)
    }

    /// Everything before the first change: only reads.
    fn plan(&self, known: &mut Known, purpose: Purpose) -> Result<Planned, Cause> {
        let proc = Proc::open()?;
        let arguments = Arguments::read(&proc, self.cmdline.as_deref(), self.deployment.as_deref())?;
        known.wants_shell = arguments.wants_shell;
        known.is_trial = arguments.is_trial;
        let pid1 = self.caller == Caller::Pid1;
        // As PID 1 the configuration is in the deployment, which is not known yet.
        let early = if pid1 { None } else { Some(configuration::read(Path::new("/"), known)?) };
        known.asked_for = arguments.asked_for.as_ref().ok().cloned();

        let physical = PhysicalRoot::open(&self.sysroot, proc)?;
        if let Some(nothing_to_do) = self.nothing_to_do(&physical, &arguments, purpose)? {
            return Ok(nothing_to_do);
        }
        // A configuration that stops the boot is one way not to come up.
        if let Some(parsed) = early.as_ref().filter(|parsed| !parsed.errors.is_empty())
            && let Ok(target) = find_target(&physical, &arguments, &PrepareRootConf::default(), purpose)
            && let Decided::OtherList(exchange) =
                self.decide(&physical, target, &parsed.conf, &arguments, purpose, known)
        {
            return Ok(Planned::OtherList(exchange, physical));
        }
        // If there is nothing to do, an error in the configuration does not matter.
        let early = early.map(|parsed| configuration::accept(parsed, known)).transpose()?;
        if purpose == Purpose::Boot && !pid1 && physical.at == Path::new("/") {
            return Err(Cause::SysrootIsRoot(self.sysroot.display().to_string()));
        }

        let before = early.clone().unwrap_or_default();
        let target = find_target(&physical, &arguments, &before, purpose)?;
        known.asked_for = Some(target.asked_for.clone());
        let conf = match early {
            Some(conf) => conf,
            None => configuration_of_deployment(&target, &arguments, known)?,
        };
        let chosen = match self.decide(&physical, target, &conf, &arguments, purpose, known) {
            Decided::Boot(chosen) => *chosen,
            Decided::OtherList(exchange) => return Ok(Planned::OtherList(exchange, physical)),
        };
        let (plan, deployment) = self.plan_for(&physical, chosen, &conf, arguments)?;
        Ok(Planned::Plan(Box::new(plan), physical, deployment))
    }

    /// Whether this boot is an attempt. What a person has chosen is none, and what an ESP's entry names is counted by its boot loader.
    fn decide(
        &self,
        physical: &PhysicalRoot,
        target: Target,
        conf: &PrepareRootConf,
        arguments: &Arguments,
        purpose: Purpose,
        known: &mut Known,
    ) -> Decided {
        let is_chosen = arguments.choice.is_some() || arguments.wants_shell;
        let is_counting = conf.tries > 0 && self.caller != Caller::Pid1 && !is_chosen;
        if !is_counting || (purpose == Purpose::Boot && on_failure::runs_by_hand(self.caller)) {
            return Decided::Boot(Box::new(Chosen { target, counting: None, is_older: false }));
        }
        let decided = attempts::decide(physical, target, conf.tries, !known.list_stays);
        if let Decided::Boot(chosen) = &decided {
            known.counting.clone_from(&chosen.counting);
        }
        decided
    }

    /// Whether an earlier run has prepared the root, or this is not an initramfs.
    fn nothing_to_do(
        &self,
        physical: &PhysicalRoot,
        arguments: &Arguments,
        purpose: Purpose,
    ) -> Result<Option<Planned>, Cause> {
        if let Some(prepared) = prepared_already(physical)? {
            if purpose == Purpose::Boot {
                prepared_already::require_same(physical, &prepared, arguments)?;
            }
            return Ok(Some(Planned::PreparedAlready(prepared)));
        }
        if purpose == Purpose::Show || self.caller == Caller::Pid1 {
            return Ok(None);
        }
        Ok(root_of_running_system(&physical.proc)?.map(Planned::Running))
    }

    /// A generator only reads the command line of the kernel, so with another one `/var` is mounted here.
    fn init_may_mount_later(&self) -> bool {
        self.caller == Caller::Script && self.systemd == SystemdMode::Auto && self.cmdline.is_none()
    }

    /// The plan for a deployment that was found.
    fn plan_for(
        &self,
        physical: &PhysicalRoot,
        chosen: Chosen,
        conf: &PrepareRootConf,
        arguments: Arguments,
    ) -> Result<(MountPlan, Deployment), Cause> {
        let Chosen { target, counting, is_older } = chosen;
        let Target { mut deployment, asked_for: decided, recovery, warning } = target;
        // libostree's generator, which mounts /var, only knows the link.
        let asked_for = arguments.asked_for.unwrap_or_else(|_| decided.clone());
        let composefs = image::decide(conf, arguments.composefs.as_deref(), self.caller, &deployment)?;
        let signature =
            image::signature_facts(physical, &deployment, &composefs, &conf.composefs_keypath, self.caller)?;
        let root = (image::image_facts(&mut deployment, &composefs)?, signature);
        let facts = read::facts::facts(physical, self.caller, &deployment, conf, composefs.mode, root, &asked_for)?;
        let init_mounts_later =
            self.init_may_mount_later() && systemd_mounts_later(&deployment, arguments.init.clone())?;
        let facts = Facts { init_mounts_later, ..facts };
        let is_lasting = is_older || arguments.choice.is_some_and(|choice| choice.by_option);
        let init = arguments.init;
        let resolved = Resolved { asked_for: decided, recovery, init, warning, by_option: is_lasting, counting };
        let plan = plan::plan(conf, composefs, resolved, &facts)
            .map_err(|error| Cause::Plan { deployment: deployment.path.clone(), error })?;
        Ok((plan, deployment))
    }
}

/// The requested deployment, or the one that a missing boot link must have meant.
fn find_target(
    physical: &PhysicalRoot,
    arguments: &Arguments,
    conf: &PrepareRootConf,
    purpose: Purpose,
) -> Result<Target, Cause> {
    let found = match &arguments.choice {
        Some(choice) => chosen::find(physical, choice, &arguments.asked_for),
        None => {
            let may_recover = recovery::may_recover(conf, arguments.composefs.as_deref());
            target::find(physical, arguments.asked_for.clone()?, arguments.otherwise.clone(), may_recover)
        }
    };
    match found {
        Err(_) if purpose == Purpose::Boot && !physical.is_mounted()? => {
            Err(Cause::NotMounted(physical.at.display().to_string()))
        }
        other => other,
    }
}

/// The configuration in the deployment, as PID 1. If it forbids the recovery that found this deployment, the boot fails.
fn configuration_of_deployment(
    target: &Target,
    arguments: &Arguments,
    known: &mut Known,
) -> Result<PrepareRootConf, Cause> {
    let conf = configuration::accept(read::config::load(&target.deployment.directory), known)?;
    match &target.recovery {
        Some(recovery) if !recovery::may_recover(&conf, arguments.composefs.as_deref()) => {
            Err(LookupError::Missing(format!("/{}", recovery.missing)).into())
        }
        _ => Ok(conf),
    }
}

/// Scripts of embedded systems read this line, which libostree prints, too.
fn say_to_script(deployment: &Path) {
    // The boot must not stop if the script does not read it.
    let _ = system::output::print(&format!("Resolved OSTree target to: {}\n", deployment.display()));
}
