//! The plan of a finalization: everything that is read and decided before anything is changed.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use boot_list::loader::ask::ask;
use boot_list::plan::list::{self, ListedDeployment};
use boot_list::plan::{self, BootPlan};
use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::boot_contents::{self, Beside, BootFiles};
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, dir};

use crate::error::Error;
use crate::etc_merge::conflict::Conflict;
use crate::etc_merge::known::{Known, Pair};
use crate::etc_merge::path::EtcPath;
use crate::etc_merge::plan::{self as etc_plan, EtcMergePlan};
use crate::etc_merge::scan::{self, Scanned, Skipped, Trees};
use crate::policy::changes::PolicyPlan;
use crate::policy::which;
use crate::read::options::SysrootOptions;

/// Keys of a boot loader entry that libostree and firstroot write.
const OWN_KEYS: [&str; 9] =
    ["title", "version", "options", "linux", "initrd", "devicetree", "fdtdir", "aboot", "abootcfg"];

/// The merge of `/etc`, and the files that it leaves out.
#[derive(Debug)]
pub(crate) struct EtcMerge {
    /// The deployment whose `/etc` is merged.
    pub(crate) from: DeploymentPath,
    /// The steps.
    pub(crate) plan: EtcMergePlan,
    /// The SELinux policy of the new `/etc`, which is not merged file by file.
    pub(crate) policy: Option<PolicyPlan>,
    /// Devices, fifos, sockets.
    pub(crate) skipped: Vec<Skipped>,
    /// Files that could not be read.
    pub(crate) unreadable: Vec<EtcPath>,
    /// Files that were read and are the same as the shipped ones.
    pub(crate) same: Vec<Pair>,
}

/// The whole plan.
#[derive(Debug)]
pub(crate) struct Finalization {
    /// The staged deployment.
    pub(crate) target: DeploymentPath,
    /// `None`: there is no `/etc` to merge.
    pub(crate) etc: Option<EtcMerge>,
    /// Its `etc` does not exist, or an earlier run has changed it: it is made again from `usr/etc` first.
    pub(crate) reset_etc: bool,
    /// List, entries, links.
    pub(crate) boot: BootPlan,
    /// Kernels.
    pub(crate) files: BootFiles,
    /// Warnings of reading and planning.
    pub(crate) warnings: Vec<String>,
}

/// The input of a plan that is not on the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staging<'a> {
    /// The staged deployment.
    pub(crate) staged: &'a StagedState,
    /// An earlier run has changed its `etc`.
    pub(crate) used: bool,
    /// Options of the environment.
    pub(crate) options: SysrootOptions,
    /// Files of `/run/ostree`.
    pub(crate) beside: &'a Beside,
    /// Files of `/etc` that need not be read.
    pub(crate) known: &'a Known,
    /// Note files without read permission, instead of failing.
    pub(crate) lenient: bool,
}

impl Staging<'_> {
    /// Finds the files that the list of `plan` needs and `/boot` lacks.
    pub(crate) fn survey(&self, roots: &Roots, plan: &BootPlan) -> Result<BootFiles, Error> {
        let list: Vec<&Deployment> = plan.list.iter().map(|listed| &listed.deployment).collect();
        Ok(boot_contents::survey(roots, self.beside, &list, &plan.overlays)?)
    }
}

/// Reads and decides.
pub(crate) fn plan(roots: &Roots, sysroot: &Sysroot, staging: &Staging<'_>) -> Result<Finalization, Error> {
    let staged = staging.staged;
    let path = &staged.target.deployment;
    let directory = match dir::open(&roots.sysroot, path.to_string(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(Error::TargetMissing(path.clone())),
        other => other.context("open", format_args!("/{path}"))?,
    };
    let merge = match &staged.merge_deployment {
        Some(merge) => Some(sysroot.find(merge).ok_or_else(|| Error::MergeDeploymentMissing(merge.clone()))?),
        None => None,
    };
    let mut warnings = Vec::new();
    let target = target(roots, staged, merge, &mut warnings)?;
    if let Some(unified) = target.unified_kernel() {
        if !target.overlay_initrds.is_empty() {
            return Err(Error::OverlayWithUnifiedKernel(path.clone()));
        }
        if unified.has_command_line {
            warnings.push(format!(
                "the kernel image of /{path} has kernel arguments of its own: with Secure Boot it ignores those of its entry, and boots \
                 no deployment; build it without a command line (.cmdline)"
            ));
        }
    }
    let reset_etc = staging.used || !is_there(&directory, "etc", path)?;
    if reset_etc && !is_there(&directory, "usr/etc", path)? {
        return Err(Error::NoShippedEtc(path.clone()));
    }
    let etc = match merge {
        Some(merge) => Some(etc_merge(roots, merge, &target.path, reset_etc, staging.known, staging.lenient)?),
        None => None,
    };
    let mut list = list::with_target(sysroot, target, staged.merge_deployment.as_ref());
    for listed in list.iter_mut().skip(1) {
        warnings.extend(listed.deployment.read_tree_of_one_that_stays(roots)?);
    }
    let boot = boot_plan(roots, sysroot, staging, list)?;
    let files = staging.survey(roots, &boot)?;
    warnings.extend(files.warnings.iter().cloned());
    Ok(Finalization { target: path.clone(), etc, reset_etc, boot, files, warnings })
}

/// The conflicts that would stop the finalization of `staged`.
pub(crate) fn conflicts(
    roots: &Roots,
    sysroot: &Sysroot,
    staged: &StagedState,
    used: bool,
    lenient: bool,
) -> Result<Vec<Conflict>, Error> {
    let Some(merge) = &staged.merge_deployment else { return Ok(Vec::new()) };
    let merge = sysroot.find(merge).ok_or_else(|| Error::MergeDeploymentMissing(merge.clone()))?;
    let path = &staged.target.deployment;
    let directory = ostree_sysroot::deployment::open(roots, path)?;
    let reset_etc = used || !is_there(&directory, "etc", path)?;
    Ok(etc_merge(roots, merge, path, reset_etc, &Known::default(), lenient)?.plan.conflicts)
}

/// The plan for `list`, with the file of the boot loader.
pub(crate) fn boot_plan(
    roots: &Roots,
    sysroot: &Sysroot,
    staging: &Staging<'_>,
    list: Vec<ListedDeployment>,
) -> Result<BootPlan, Error> {
    let mut boot = plan::plan(sysroot, staging.options.naming, list);
    ask(roots, sysroot, &mut boot)?;
    Ok(boot)
}

/// Whether a path exists in the deployment `deployment`; a failed lookup is an error.
fn is_there(directory: &OwnedFd, path: &str, deployment: &DeploymentPath) -> Result<bool, Error> {
    match dir::open(directory, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).context("read the attributes of", format_args!("/{deployment}/{path}"))?,
    }
}

/// The staged deployment as a member of a list.
fn target(
    roots: &Roots,
    staged: &StagedState,
    merge: Option<&Deployment>,
    warnings: &mut Vec<String>,
) -> Result<Deployment, Error> {
    let (path, bootcsum) = (staged.target.deployment.clone(), staged.target.bootcsum.clone());
    let mut deployment = Deployment::read(roots, path, bootcsum, warnings)?;
    deployment.read_tree(roots)?;
    let kargs = match (&staged.kargs, merge) {
        (Some(words), _) => KernelArguments::from_words(words.iter().cloned()),
        (None, Some(merge)) => merge.kargs.clone(),
        (None, None) => KernelArguments::parse(""),
    };
    let entry = further_keys(&staged.bootconfig_extra);
    Ok(Deployment { entry, kargs, overlay_initrds: staged.overlay_initrds.clone(), ..deployment })
}

fn further_keys(keys: &BTreeMap<String, String>) -> BlsEntry {
    let mut entry = BlsEntry::default();
    let fields = keys.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    entry.set_all(&fields.filter(|(key, _)| !OWN_KEYS.contains(key)).collect::<Vec<_>>());
    entry
}

fn etc_merge(
    roots: &Roots,
    merge: &Deployment,
    target: &DeploymentPath,
    reset: bool,
    known: &Known,
    lenient: bool,
) -> Result<EtcMerge, Error> {
    let open = |path: String| {
        dir::open(&roots.sysroot, &path, OFlags::RDONLY | OFlags::DIRECTORY).context("open", format_args!("/{path}"))
    };
    let shipped = match dir::open(&roots.sysroot, format!("{}/usr/etc", merge.path), OFlags::RDONLY | OFlags::DIRECTORY)
    {
        Err(Errno::NOENT) => None,
        other => Some(other.context("open", format_args!("/{}/usr/etc", merge.path))?),
    };
    let new = if reset { "usr/etc" } else { "etc" };
    let trees = Trees { shipped, machine: open(format!("{}/etc", merge.path))?, new: open(format!("{target}/{new}"))? };
    let scanned = scan::scan(&trees, known, lenient)?;
    let mut plan = etc_plan::plan(&scanned.differences);
    let policy = match which::take_out(&trees, &mut plan) {
        Err(error) if lenient && error.reason == Errno::ACCESS => None,
        other => other?,
    };
    let Scanned { skipped, unreadable, same, .. } = scanned;
    Ok(EtcMerge { from: merge.path.clone(), plan, policy, skipped, unreadable, same })
}
