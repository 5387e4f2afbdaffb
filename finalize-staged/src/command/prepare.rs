//! `--prepare`: does what can be done before shutdown, while the administrator can still read the messages.
//!
//! It copies kernel and initramfs to a `/boot` that is a filesystem of its own, under a name that nothing leads to. It checks for
//! everything that would stop finalization: conflicts in `/etc`, room, the boot loader, the kernel's checksum. It writes no entries
//! and no links, removes only its own files. It takes the lock of the sysroot for nothing but a copy to the ESP; shutdown stops it
//! before it finalizes.

mod copy_to_esp;
mod damage;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use boot_list::execute::{install, room, xfs_directory};
use boot_list::plan::list;
use boot_list::plan::removals::Current;
use esp_projection::settings::Settings;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::boot_contents::{Install, InstallMethod};
use ostree_sysroot::boot_names::{is_prepared, kernel_directory, prepared};
use ostree_sysroot::compared_files::are_unchanged_since;
use ostree_sysroot::deployment::{self, Deployment};
use ostree_sysroot::{Roots, Sysroot, SysrootError, free_space, kernel_layout};
use rustix::io::Errno;
use system::{Context, SystemError, dir, tree};

use crate::checks::{log_nothing_to_do, refuse_conflicts, require_booted_and_root};
use crate::error::Error;
use crate::etc_merge::known::Known;
use crate::execute::esp;
use crate::execute::make_room::does_not_fit;
use crate::execute::policy;
use crate::execute::writable_roots;
use crate::finalization::{self, Finalization, Staging};
use crate::handover;
use crate::read::options::SysrootOptions;
use crate::read::run_directory::{RunDirectory, StagedNow};
use crate::read::unit_drop_ins;

/// Bytes of `/boot` that stay free while the system runs, for the stamp and for other programs.
const LEFT_TO_OTHERS: u64 = 1 << 20;
/// Prepares the staged deployment. An error is one with which finalization would fail.
pub(crate) fn prepare() -> Result<(), Error> {
    require_booted_and_root()?;
    let Some(run) = RunDirectory::open(Path::new("/"))? else {
        log::info!("no deployment is staged: nothing to do");
        return Ok(());
    };
    loop {
        let staged_at = run.staged_at()?;
        let prepared = prepare_for(&run);
        match prepared {
            // While a finalization runs, the files that this command reads may contradict each other: the error does not matter.
            Err(error) if !run.is_announced()? => {
                log::info!("the staged deployment is being finalized or is no longer staged: {error}");
                return Ok(());
            }
            Ok(Prepared::ForTheList) if run.staged_at()? == staged_at => return Ok(()),
            Err(error) if run.staged_at()? == staged_at => return Err(error),
            // No unit starts this program again for what was staged while it ran.
            changed => {
                if let Err(error) = changed {
                    log::info!("{error}");
                }
                log::info!("meanwhile the list of deployments has changed, or another one was staged: preparing again");
            }
        }
    }
}

/// Whether what was prepared is for the list that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prepared {
    ForTheList,
    ForAnother,
}

fn prepare_for(run: &RunDirectory) -> Result<Prepared, Error> {
    // One second earlier, because the time of a change is that of the last clock tick.
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed() - 1);
    let (staged, used) = match run.find()? {
        StagedNow::Staged { state, used } => (state, used),
        found => {
            log_nothing_to_do(&found);
            return Ok(Prepared::ForTheList);
        }
    };
    unit_drop_ins::warn();
    let roots = writable_roots::open()?;
    if roots.boot_is_fat()? {
        return Err(Error::BootOnFat);
    }
    let sysroot = match handover::sysroot_or_reason(&roots)? {
        Ok(sysroot) => sysroot,
        Err(reason) if handover::is_possible() => {
            log::info!("{reason}: ostree will finalize this update at shutdown");
            return Ok(Prepared::ForTheList);
        }
        Err(reason) => return Err(handover::nobody(reason)),
    };
    sysroot.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    remove_what_was_prepared_for_others(
        &roots,
        &sysroot,
        &staged.target.deployment.stateroot.to_string(),
        staged.target.bootcsum.as_str(),
    )?;
    // Now rather than below, too: what is written through a mapping from here on gives the file another time of change.
    rustix::fs::syncfs(&roots.sysroot).context("sync", "the physical root")?;
    let (options, beside) = (SysrootOptions::of_environment(), run.beside()?);
    // Everything is compared, however often this runs.
    let known = Known::default();
    let staging = Staging { staged: &staged, used, options, beside: &beside, known: &known, lenient: false };
    let mut plan = finalization::plan(&roots, &sysroot, &staging)?;
    keep_known_etc(run, &mut plan, began);
    tell(&plan);
    let settings = check_new(&roots, run, &plan)?;
    if roots.boot_is_separate && !put_all_beside(&roots, run, &plan)? {
        check_room_after_removing(&roots, &sysroot, &plan, options)?;
    }
    // Writes the staged deployment to the disk now, so that the sync at shutdown is shorter.
    rustix::fs::syncfs(&roots.sysroot).context("sync", "the physical root")?;
    damage::warn(&roots, run, &sysroot, &plan, (began, 0))?;
    warn_of_what_stays_behind(&sysroot, &staged);
    refuse_conflicts(&plan)?;
    policy::prepare::prepare(&roots, &plan)?;
    if let Some(settings) = &settings
        && !copy_to_esp::copy_to_esp(&roots, run, &sysroot, &plan, settings)?
    {
        return Ok(Prepared::ForAnother);
    }
    log::info!("/{} is prepared: shutdown will merge /etc and make it the default", plan.target);
    Ok(Prepared::ForTheList)
}

/// Whether the new deployment may be booted and can be. Returns the settings of the ESP, if they ask for a projection.
fn check_new(roots: &Roots, run: &RunDirectory, plan: &Finalization) -> Result<Option<Settings>, Error> {
    let Some(target) = plan.boot.list.first().map(|listed| &listed.deployment) else { return Ok(None) };
    let settings = esp::all_settings(roots)?;
    esp::refuse_rolled_back(roots, target, &settings)?;
    if settings.enabled {
        esp::check_image(roots, target, &settings)?;
    }
    check_kernel(roots, run, target)?;
    Ok(Some(settings).filter(|settings| settings.enabled))
}

/// For shutdown, which needs it for nothing but speed.
fn keep_known_etc(run: &RunDirectory, plan: &mut Finalization, began: i64) {
    let Some(etc) = &mut plan.etc else { return };
    let known = Known::of(std::mem::take(&mut etc.same), began);
    if let Err(error) = run.keep_known_etc(&known.to_bytes()) {
        log::warn!("{error}: shutdown will compare all of /etc again");
    }
}

/// What the plan has to say, beside what it does.
fn tell(plan: &Finalization) {
    let warnings = plan.warnings.iter().chain(&plan.boot.loader_warnings).chain(&plan.boot.foreign.warnings);
    warnings.for_each(|warning| log::warn!("{warning}"));
    plan.boot.loader_notes.iter().for_each(|note| log::info!("{note}"));
}

/// Copies the kernel to a separate `/boot`; on the physical root, installing is only a hard link. Returns whether there is room.
fn put_all_beside(roots: &Roots, run: &RunDirectory, plan: &Finalization) -> Result<bool, Error> {
    let (needed, free) = (plan.files.bytes(), free_space::of_boot(roots)?);
    if needed > free {
        return Ok(false);
    }
    if needed > free.saturating_sub(LEFT_TO_OTHERS) {
        log::info!("/boot has too little room to copy the new kernel now: shutdown will install it");
        return Ok(true);
    }
    for install in plan.files.installs.iter().filter(|install| install.deployment == plan.target) {
        match put_beside(roots, run, install) {
            Err(Error::System(error)) if room::is_full(&error) => return Ok(false),
            other => other?,
        }
    }
    Ok(true)
}

/// Checks whether there is room after shutdown has removed the replaced deployments.
fn check_room_after_removing(
    roots: &Roots,
    sysroot: &Sysroot,
    plan: &Finalization,
    options: SysrootOptions,
) -> Result<(), Error> {
    let keeping = list::without_what_goes(&plan.boot.list);
    let count = room::count(roots, &plan.files, &Current::with(sysroot, keeping))?;
    if !count.may_fit_after_removing() || options.no_early_prune {
        return Err(does_not_fit(count, plan));
    }
    log::info!("/boot has room for the new kernel only after an old one is removed: shutdown will install it");
    Ok(())
}

fn put_beside(roots: &Roots, run: &RunDirectory, wanted: &Install) -> Result<(), Error> {
    if wanted.method == InstallMethod::Repair {
        return Ok(());
    }
    let name = prepared(&wanted.directory);
    let shown = format!("/boot/ostree/{name}");
    if !xfs_directory::is_out_of_its_inode(roots)? {
        // That change needs the lock of the sysroot, so finalization makes it, once.
        log::info!(
            "/boot is XFS, and /boot/ostree needs a one-time change: shutdown will make it and install the kernel"
        );
        return Ok(());
    }
    let parent = install::boot_ostree(roots)?;
    if wanted.method == InstallMethod::NewDirectory {
        tree::remove(&parent, name.as_bytes()).context("remove", &shown)?;
        match install::make_directory(roots, &parent, wanted, &name, &mut || {}) {
            // Finalization has begun and has removed the directory.
            Err(error) if error.reason == Errno::NOENT => return Ok(()),
            other => other?,
        }
        rustix::fs::fsync(&parent).context("sync", "/boot/ostree")?;
    }
    let source = kernel_layout::open_directory(&roots.sysroot, &wanted.deployment, &wanted.layout)?;
    let there = tree::open(&parent, name.as_bytes()).context("open", &shown)?;
    let mut compared = run.compared()?;
    compared.add(&name, &source, &there, &wanted.files).context("read the attributes of", shown)?;
    Ok(run.keep_compared(&compared)?)
}

/// Removes the prepared kernels of deployments that were staged earlier.
fn remove_what_was_prepared_for_others(
    roots: &Roots,
    sysroot: &Sysroot,
    stateroot: &str,
    bootcsum: &str,
) -> Result<(), SystemError> {
    let own = prepared(&format!("{stateroot}-{bootcsum}"));
    let Some(parent) = roots.boot_ostree()? else { return Ok(()) };
    let names = dir::names(&parent, ".").context("list", "/boot/ostree")?;
    let used = sysroot.deployments.iter().map(directory_of).collect::<Vec<_>>();
    for name in names.iter().filter(|name| is_prepared(name) && **name != own && !used.contains(name)) {
        if let Err(error) = tree::remove(&parent, name.as_bytes()) {
            log::warn!("cannot remove /boot/ostree/{name}: {error}");
        }
    }
    Ok(())
}

/// The files must match the bootcsum, which names the kernel's directory and the boot link. libostree has read them to compute it,
/// before it wrote the announcement. So they are read again only if one of them has changed since.
fn check_kernel(roots: &Roots, run: &RunDirectory, target: &Deployment) -> Result<(), Error> {
    // The plan has read it: a deployment without a kernel is an error there.
    let Some(kernel) = target.kernel() else { return Ok(()) };
    let source = kernel_layout::open_directory(&roots.sysroot, &target.path, kernel)?;
    let staged = run.staged_at()?;
    let hashed = kernel.hashed().map(|file| (file.source.as_str(), file.is_directory));
    let shown = format_args!("/{}/{}", target.path, kernel.directory);
    if are_unchanged_since(staged, &source, hashed).context("read the kernel in", shown)? {
        return Ok(());
    }
    let directory = deployment::open(roots, &target.path)?;
    kernel_layout::check(&directory, &target.path, kernel, &target.bootcsum).map_err(SysrootError::from)?;
    Ok(())
}

/// Warns of the `initrd` lines that the administrator added to the merge deployment's entry: a new entry does not have them.
fn warn_of_what_stays_behind(sysroot: &Sysroot, staged: &StagedState) {
    let merge = staged.merge_deployment.as_ref().and_then(|path| sysroot.find(path));
    let initrds = merge.map(Deployment::initrds_of_the_administrator).unwrap_or_default();
    for path in initrds.0.iter().chain(&initrds.1) {
        log::warn!(
            "the entry of /{} has the line \"initrd {path}\", which libostree did not write; the new entry will not have it. \
             To load a file with every new kernel: `ostree admin deploy --stage --overlay-initrd=FILE`",
            staged.target.deployment
        );
    }
}

fn directory_of(deployment: &Deployment) -> String {
    kernel_directory(&deployment.path.stateroot, &deployment.bootcsum)
}
