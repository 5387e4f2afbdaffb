//! The story of a boot, from top to bottom.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ostree_formats::booted_state::BootedState;
use ostree_formats::cmdline::{BootTarget, KernelCommandLine};
use ostree_formats::mountinfo;
use ostree_formats::prepare_root_conf::{ComposefsMode, OnFailure, Parsed, PrepareRootConf};
use system::proc::Proc;
use system::{Context, SystemError, dir, mount};

use crate::args::Detection;
use crate::composefs::{self, Decision, IMAGE};
use crate::execute;
use crate::execute::undo;
use crate::facts::{ImageFacts, Seal, Situation};
use crate::failure::{Cause, Failure};
use crate::interrupted::{self, Leftover, Prepared};
use crate::lookup::{self, Deployment, LookupError};
use crate::physical_root::PhysicalRoot;
use crate::plan::{self, LOWER, MountPlan, Resolved, STAGING};
use crate::signature::{self, VerifyError};
use crate::target::{self, Target};

/// What an earlier run, or libostree, has written about what was booted.
const BOOTED: &str = "/run/ostree-booted";

/// What a boot is about.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) sysroot: PathBuf,
    pub(crate) cmdline: Option<OsString>,
    pub(crate) situation: Situation,
}

/// A plan, or the news that none is needed.
#[derive(Debug)]
pub(crate) enum Planned {
    /// With the physical root and the deployment that it is for.
    Plan(Box<MountPlan>, PhysicalRoot, Deployment),
    /// `sysroot` is the root of a deployment already.
    PreparedAlready(Prepared),
    /// This is no initramfs, but a system that runs; its root.
    Running(String),
}

/// What was learnt on the way, for the report and for what follows it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) asked_for: Option<BootTarget>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) wants_shell: bool,
}

/// Whether systemd is there is told by sd_booted(3)'s sign, unless somebody says it.
pub(crate) fn situation(systemd: Detection) -> Situation {
    let there = || Path::new("/run/systemd/system").is_dir();
    match systemd {
        Detection::Yes => Situation::Systemd,
        Detection::No => Situation::Script,
        Detection::Auto if there() => Situation::Systemd,
        Detection::Auto => Situation::Script,
    }
}

impl Request {
    /// Turns the physical root into the root of a deployment. As PID 1 it returns only to fail.
    pub(crate) fn prepare(&self, known: &mut Known, init_arguments: &[OsString]) -> Result<(), Box<Failure>> {
        let result = clean_up_interrupted_run(self).and_then(|()| {
            let planned = self.plan(known, Purpose::Boot)?;
            let (plan, physical, deployment) = match planned {
                Planned::Plan(plan, physical, deployment) => (plan, physical, deployment),
                Planned::PreparedAlready(prepared) => {
                    log::info!("{} is prepared already, for {prepared}: nothing to do", self.sysroot.display());
                    return Ok(());
                }
                Planned::Running(root) => {
                    log::info!("this system is booted already, from {root}: nothing to do");
                    return Ok(());
                }
            };
            for warning in &plan.warnings {
                log::warn!("{warning}");
            }
            if self.situation == Situation::Script {
                say_to_script(&physical.at.join(deployment.path.to_string()));
            }
            execute::execute(&plan, &physical, &deployment, init_arguments)?;
            // The process ends here, and the kernel closes what is open in one go.
            std::mem::forget((physical, deployment));
            Ok(())
        });
        result.map_err(|cause| {
            Box::new(Failure {
                cause,
                situation: self.situation,
                sysroot: self.sysroot.clone(),
                asked_for: known.asked_for.clone(),
            })
        })
    }

    /// Says what that would do.
    pub(crate) fn show(&self, known: &mut Known) -> Result<Planned, Cause> {
        let request = Request { sysroot: physical_root_of_running_system(&self.sysroot)?, ..self.clone() };
        request.plan(known, Purpose::Show)
    }

    /// Everything up to the point where something would be done: only reads.
    fn plan(&self, known: &mut Known, purpose: Purpose) -> Result<Planned, Cause> {
        let proc = Proc::open()?;
        let booted_with = KernelCommandLine::new(proc.command_line()?);
        // Somebody who boots by hand, with a command line of their own, sits there all the same.
        known.wants_shell = booted_with.wants_shell();
        let cmdline = match &self.cmdline {
            Some(line) => KernelCommandLine::new(line.as_bytes()),
            None => booted_with.clone(),
        };
        // Somebody who boots another deployment by hand, and names only that, does not switch a signature off by it.
        let composefs_argument = cmdline.composefs().or_else(|| booted_with.composefs());
        let init = cmdline.init().or_else(|| booted_with.init());
        known.wants_shell |= cmdline.wants_shell();

        let pid1 = self.situation == Situation::Pid1;
        // As PID 1 the configuration is in the deployment, which is not known yet.
        let early = if pid1 { None } else { Some(configuration(Path::new("/"), known)?) };

        let asked_for = cmdline.boot_target();
        known.asked_for = asked_for.as_ref().ok().cloned();

        let physical = PhysicalRoot::open(&self.sysroot, proc)?;
        if let Some(prepared) = prepared_already(&physical)? {
            if purpose == Purpose::Boot
                && let Ok(asked_for) = &asked_for
            {
                require_same(&physical, &prepared, asked_for)?;
            }
            return Ok(Planned::PreparedAlready(prepared));
        }
        if purpose == Purpose::Boot
            && !pid1
            && let Some(root) = root_of_running_system(&physical.proc)?
        {
            return Ok(Planned::Running(root));
        }
        // Where there is nothing to do, a faulty configuration is no reason to fail.
        let early = early.map(|parsed| accept(parsed, known)).transpose()?;
        if purpose == Purpose::Boot && !pid1 && physical.at == Path::new("/") {
            return Err(Cause::SysrootIsRoot(self.sysroot.display().to_string()));
        }
        let asked_for = asked_for?;

        let conf = early.clone().unwrap_or_default();
        // Where it has no value that could be one, that of Android's arguments is all there is.
        let otherwise = cmdline.ostree_target().ok();
        let may_recover_early = target::may_recover(&conf, composefs_argument.as_deref());
        let found = match target::find(&physical, asked_for.clone(), otherwise, may_recover_early) {
            Err(_) if purpose == Purpose::Boot && !physical.is_mounted()? => {
                return Err(Cause::NotMounted(physical.at.display().to_string()));
            }
            other => other?,
        };
        let Target { mut deployment, asked_for: decided, recovery, warning } = found;
        known.asked_for = Some(decided.clone());
        let conf = match early {
            Some(conf) => conf,
            None => {
                let conf = accept(crate::config::load(&deployment.directory), known)?;
                if let Some(recovery) =
                    recovery.as_ref().filter(|_| !target::may_recover(&conf, composefs_argument.as_deref()))
                {
                    return Err(LookupError::Missing(format!("/{}", recovery.missing)).into());
                }
                conf
            }
        };

        let impossible = |error| Cause::Plan { deployment: deployment.path.clone(), error };
        let composefs =
            composefs::decide(&conf, composefs_argument.as_deref()).map_err(|error| impossible(error.into()))?;
        composefs::require_trust(&conf, &composefs, self.situation).map_err(|error| impossible(error.into()))?;
        let key_file = &conf.composefs_keypath;
        let signature = if composefs.mode == ComposefsMode::Signed {
            // As PID 1 there is nothing but the deployment that keys could be in; the plan says whether that is accepted.
            let verified = match self.situation {
                Situation::Pid1 => {
                    signature::verify(&physical, &deployment.path, deployment.directory.as_fd(), key_file)
                }
                Situation::Systemd | Situation::Script => dir::open_root(Path::new("/"))
                    .map_err(|reason| VerifyError::KeysUnreadable { path: key_file.clone(), reason })
                    .and_then(|root| signature::verify(&physical, &deployment.path, root.as_fd(), key_file)),
            };
            Some(
                verified
                    .map_err(|error| Cause::Verify { deployment: deployment.path.clone(), error: Box::new(error) })?,
            )
        } else {
            None
        };
        let image = image_facts(&mut deployment, &composefs)?;
        let root = (image, signature);
        let facts = physical.facts(self.situation, &deployment, &conf, composefs.mode, root, &asked_for)?;
        let resolved = Resolved { asked_for: decided, recovery, init, warning };
        let plan = plan::plan(&conf, composefs, resolved, &facts)
            .map_err(|error| Cause::Plan { deployment: facts.deployment.path.clone(), error })?;
        Ok(Planned::Plan(Box::new(plan), physical, deployment))
    }
}

/// Scripts of embedded systems read this line of libostree's.
fn say_to_script(deployment: &Path) {
    // A script that does not listen is no reason to stop the boot.
    let _ = system::output::print(&format!("Resolved OSTree target to: {}\n", deployment.display()));
}

/// Of `/` in a system that runs the physical root is at `/sysroot`; else `sysroot` is it.
pub(crate) fn physical_root_of_running_system(sysroot: &Path) -> Result<PathBuf, Cause> {
    let physical = PhysicalRoot::open(sysroot, Proc::open()?)?;
    let prepared = prepared_already(&physical)?;
    Ok(if prepared.is_some() { sysroot.join("sysroot") } else { sysroot.to_owned() })
}

/// Why a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Boot,
    /// A directory will do, as of an image that was unpacked.
    Show,
}

/// Opens the image where one may be wanted, and asks what guards it where that counts.
fn image_facts(deployment: &mut Deployment, composefs: &Decision) -> Result<ImageFacts, SystemError> {
    if composefs.mode == ComposefsMode::No {
        return Ok(ImageFacts::default());
    }
    let path = format!("/{}/{IMAGE}", deployment.path);
    let found = deployment.open_image().context("open", &path)?;
    let seal = if composefs.verity { deployment.seal_of_image().context("measure", &path)? } else { Seal::Missing };
    Ok(ImageFacts { found, seal })
}

/// Reads it, for [`accept`]. What follows a failure counts from here on.
fn configuration(root: &Path, known: &mut Known) -> Result<Parsed, Cause> {
    let root = dir::open_root(root).context("open", root.display())?;
    let parsed = crate::config::load(&root);
    dir::leave_open(root);
    known.on_failure = parsed.errors.is_empty().then_some(parsed.conf.on_failure);
    Ok(parsed)
}

fn accept(parsed: Parsed, known: &mut Known) -> Result<PrepareRootConf, Cause> {
    for warning in &parsed.warnings {
        log::warn!("{warning}");
    }
    if !parsed.errors.is_empty() {
        return Err(Cause::Configuration(parsed.errors));
    }
    known.on_failure = Some(parsed.conf.on_failure);
    Ok(parsed.conf)
}

fn prepared_already(physical: &PhysicalRoot) -> Result<Option<Prepared>, SystemError> {
    // The whole mount table is only read when one look says that it is worth it.
    if !physical.has_mount_at_sysroot()? {
        return Ok(None);
    }
    let mounts = mountinfo::parse(&physical.proc.mountinfo()?);
    Ok(interrupted::prepared(&mounts, &physical.at))
}

/// Who asks for another deployment than an earlier run prepared must not be told that all is well.
fn require_same(physical: &PhysicalRoot, prepared: &Prepared, asked_for: &BootTarget) -> Result<(), Cause> {
    let inside = PhysicalRoot::open(&physical.at.join("sysroot"), Proc::open()?)?;
    let asked = match lookup::follow(&inside, &asked_for.path) {
        Ok(asked) => asked,
        Err(error @ LookupError::Other { .. }) => return Err(error.into()),
        // The boot link is missing, or leads to nothing: the earlier run found another way.
        Err(_) => return Ok(()),
    };
    let is_same = match prepared {
        Prepared::Deployment(path) => asked.path == *path,
        Prepared::Image => is_recorded(&asked)?,
    };
    if is_same {
        return Ok(());
    }
    Err(Cause::PreparedForAnother {
        sysroot: physical.at.display().to_string(),
        prepared: prepared.to_string(),
        asked: asked.path.to_string(),
    })
}

/// Whether the record of what was booted is about this deployment.
fn is_recorded(deployment: &Deployment) -> Result<bool, SystemError> {
    const LIMIT: u64 = 64 << 10;
    let record = dir::open_root(Path::new("/run")).and_then(|run| dir::read(run, "ostree-booted", LIMIT));
    let Some(record) = dir::if_there(record).context("read", BOOTED)? else { return Ok(false) };
    let Ok(booted) = BootedState::from_bytes(&record) else { return Ok(false) };
    let stat = dir::stat_fd(&deployment.directory).context("look at", format_args!("/{}", deployment.path))?;
    Ok((stat.device, stat.inode) == (booted.device, booted.inode))
}

/// What `/` is, if it is the root of a deployment: then this is a system that runs, and its `/sysroot` is in use.
pub(crate) fn root_of_running_system(proc: &Proc) -> Result<Option<String>, SystemError> {
    // The mount table decides; this file says whether a look at it is worth it, and that an overlay is no initramfs'.
    if !dir::exists(BOOTED).context("look for", BOOTED)? {
        return Ok(None);
    }
    Ok(interrupted::root_of_deployment(&mountinfo::parse(&proc.mountinfo()?)))
}

/// Puts back what a run that was killed has moved. The staging place is only ever mounted on by this program.
fn clean_up_interrupted_run(request: &Request) -> Result<(), Cause> {
    if request.situation == Situation::Pid1 {
        return Ok(());
    }
    if !is_mount(STAGING)? {
        // An image that was to become a layer.
        if is_mount(LOWER)? {
            mount::detach(Path::new(LOWER)).context("take away what an earlier run left at", LOWER)?;
        }
        return Ok(());
    }
    let proc = Proc::open()?;
    let mounts = mountinfo::parse(&proc.mountinfo()?);
    let sysroot = dir::open_root(&request.sysroot).context("open", request.sysroot.display())?;
    let sysroot = proc.path_of(sysroot).context("find the path of", request.sysroot.display())?;
    match interrupted::leftover(&mounts, &sysroot) {
        Leftover::Nothing => return Ok(()),
        Leftover::Beside => {}
        Leftover::AroundPhysicalRoot { writable } => {
            undo::bring_back_physical_root(STAGING, &sysroot, writable)
                .context("bring back the physical root to", sysroot.display())?;
        }
    }
    mount::detach(Path::new(STAGING)).context("take away what an earlier run left at", STAGING)?;
    undo::remove_records();
    log::warn!("an earlier run was interrupted: what it left is cleaned up");
    Ok(())
}

/// Whether something is mounted exactly at `path`, if that is there.
fn is_mount(path: &str) -> Result<bool, SystemError> {
    let opened = dir::if_there(dir::open_root(Path::new(path))).context("open", path)?;
    let stat = opened.map(dir::stat_fd).transpose().context("look at", path)?;
    Ok(stat.is_some_and(|stat| stat.mount_root))
}
