//! GRUB with a `grub.cfg` that a program writes, from the entries of the new list. Everything else is done as by [`Links`].
//!
//! The program can fail in many ways, and none of them loses the update: the list is activated, and the old `grub.cfg` stays whole. In
//! `loader.N` the old one gets a second name. On the ESP the new one is written beside the old one, and takes its place after the
//! list is on the disk. An old menu boots through the old boot links; clean-up keeps what it names.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ostree_formats::grub_cfg::GrubNames;
use ostree_sysroot::boot_loader::GrubConfig;
use ostree_sysroot::{Roots, Sysroot, boot_loader, grub};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::copy::Copier;
use system::program::{End, Ended, Program};
use system::{Context, SystemError, dir, tree};

use super::BootLoader;
use super::links::Links;
use crate::execute::kept_files;
use crate::plan::BootPlan;
use crate::plan::grub::GrubPlan;
use crate::watcher::MenuIsOld;

/// A larger script is not looked into.
const LIMIT: u64 = 1 << 20;

/// One transaction's.
#[derive(Debug)]
pub struct Grub {
    plan: GrubPlan,
    /// How long the program may take.
    limit: Duration,
    /// A new script on the ESP waits for the swap.
    waits: Cell<bool>,
}

impl Grub {
    /// `limit`: how long the program may take.
    pub fn new(plan: GrubPlan, limit: Duration) -> Self {
        Self { plan, limit, waits: Cell::new(false) }
    }

    /// Runs the program and checks what it wrote. The error is the reason, in words.
    fn generate(&self, directory: &OwnedFd, plan: &BootPlan, progress: &mut dyn FnMut()) -> Result<(), String> {
        let name = self.plan.output_name();
        tree::remove(directory, name.as_bytes()).map_err(|error| format!("cannot remove {name}: {error}"))?;
        let Some(program) = &self.plan.program else {
            return Err("neither grub2-mkconfig nor grub-mkconfig is installed".to_owned());
        };
        let output = self.plan.output(&plan.loader_directory());
        let mut words: Vec<&[u8]> = vec![program.as_bytes(), b"-o", output.as_bytes()];
        if !program.contains('/') {
            // It is looked for in `PATH`, as by libostree.
            words.insert(0, b"/usr/bin/env");
        }
        let environment = self.environment(plan);
        let environment: Vec<&[u8]> = environment.iter().map(Vec::as_slice).collect();
        let ended = Program::new(&words, &environment)
            .and_then(|program| program.run_and_kill_descendants(self.limit, progress))
            .map_err(|error| format!("cannot execute {program}: {error}"))?;
        let last = tell(program, &ended);
        let said = if last.is_empty() { last } else { format!(" ({last})") };
        match ended.end {
            End::Status(0) => {}
            End::Status(status) => return Err(format!("{program} ended with exit status {status}{said}")),
            End::Signal(signal) => return Err(format!("{program} ended with signal {signal}{said}")),
            End::TooLong => {
                return Err(format!("{program} took longer than {} s and was killed{said}", self.limit.as_secs()));
            }
        }
        self.check(directory, plan).map_err(|reason| format!("{program} {reason}"))
    }

    /// That of this process, with what libostree tells its part of the script.
    fn environment(&self, plan: &BootPlan) -> Vec<Vec<u8>> {
        let own = std::env::vars_os().filter(|(name, _)| !name.as_bytes().starts_with(b"_OSTREE_GRUB2_"));
        let mut all: Vec<Vec<u8>> =
            own.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect();
        all.push(format!("_OSTREE_GRUB2_BOOTVERSION={}", plan.bootversion).into_bytes());
        if self.plan.config != GrubConfig::InLoader {
            all.push(b"_OSTREE_GRUB2_IS_EFI=1".to_vec());
        }
        all
    }

    /// Whether the new script is there, has a menu for the new list, and is on the disk.
    fn check(&self, directory: &OwnedFd, plan: &BootPlan) -> Result<(), String> {
        let name = self.plan.output_name();
        match dir::read_no_link(directory, name, LIMIT) {
            Ok(script) if script.is_empty() => return Err(format!("has left {name} empty")),
            Ok(script) => {
                let default = plan.default_bootlink();
                let is_named = default.is_none_or(|link| GrubNames::of(&script).bootlinks.contains(&link));
                if self.plan.has_bootlinks && !self.plan.reads_entries && !is_named {
                    return Err(format!("has written {name} without the new default"));
                }
            }
            Err(Errno::FBIG) => {}
            Err(error) => return Err(format!("has written no {name}: {error}")),
        }
        let synced = dir::open(directory, name, OFlags::RDONLY).and_then(rustix::fs::fsync);
        synced.map_err(|error| format!("has written {name}, but it cannot be synced: {error}"))
    }

    /// The directory of the program's output.
    fn directory(&self, roots: &Roots, plan: &BootPlan) -> Result<OwnedFd, SystemError> {
        match &self.plan.config {
            GrubConfig::InLoader => {
                let name = plan.loader_directory();
                tree::open(&roots.boot, name.as_bytes()).context("open", format_args!("/boot/{name}"))
            }
            GrubConfig::OnEsp(directory) => open_on_esp(roots, directory),
        }
    }

    /// After a failure: what the program has left is removed, and the old script takes its place.
    fn keep_old(&self, roots: &Roots, directory: &OwnedFd) -> Result<(), SystemError> {
        let removed = remove_output(directory, self.plan.output_name());
        match (&self.plan.config, removed) {
            (GrubConfig::InLoader, removed) => {
                removed.and_then(|()| kept_files::keep_one(roots, directory, self.plan.output_name()))
            }
            // Nothing reads it there.
            (GrubConfig::OnEsp(_), Err(error)) => {
                log::warn!("{error}");
                Ok(())
            }
            (GrubConfig::OnEsp(_), Ok(())) => Ok(()),
        }
    }
}

impl BootLoader for Grub {
    fn write(
        &self,
        roots: &Roots,
        plan: &BootPlan,
        progress: &mut dyn FnMut(),
    ) -> Result<Option<MenuIsOld>, SystemError> {
        Links.write(roots, plan, progress)?;
        let directory = self.directory(roots, plan)?;
        let reason = match self.generate(&directory, plan, progress) {
            Ok(()) if self.plan.config == GrubConfig::InLoader => return Ok(None),
            Ok(()) => {
                self.waits.set(true);
                "the new menu was written, and did not take its place".to_owned()
            }
            Err(reason) => {
                self.keep_old(roots, &directory)?;
                reason
            }
        };
        if self.plan.reads_entries && !self.waits.get() {
            log::warn!("{reason}: grub.cfg stays the old one; GRUB reads entries, so the update is in its menu");
            return Ok(None);
        }
        Ok(Some(MenuIsOld { reason, command: self.plan.command() }))
    }

    fn swap(&self, roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
        Links.swap(roots, plan)
    }

    fn follow(&self, roots: &Roots, plan: &BootPlan) -> bool {
        let replaced = match &self.plan.config {
            GrubConfig::OnEsp(directory) if self.waits.get() => replace(roots, directory),
            _ => Ok(()),
        };
        Links.follow(roots, plan);
        if let Err(error) = &replaced {
            log::warn!("{error}");
        }
        self.waits.get() && replaced.is_ok()
    }

    fn take_back(&self, roots: &Roots, plan: &BootPlan) -> Vec<String> {
        let mut failed = Links.take_back(roots, plan);
        if let GrubConfig::OnEsp(directory) = &self.plan.config {
            let removed = open_on_esp(roots, directory).and_then(|esp| remove_output(&esp, self.plan.output_name()));
            failed.extend(removed.err().map(|error| error.to_string()));
        }
        failed
    }
}

/// Ends what a run has begun that was killed after the swap: a new script on the ESP takes its place, if it is one for the active list.
/// Returns whether one did.
///
/// # Errors
/// It cannot be found out, or it fails.
pub fn finish(roots: &Roots, sysroot: &Sysroot) -> Result<bool, SystemError> {
    let found = boot_loader::find(roots, sysroot.config.bootloader)?;
    let boot_loader::BootLoader::Grub(GrubConfig::OnEsp(directory)) = found else { return Ok(false) };
    let default = sysroot.deployments.first().and_then(|first| first.kargs.get("ostree")?.parse().ok());
    let new = grub::read(roots, &format!("{directory}/grub.cfg.new"))?;
    if !default.is_some_and(|link| new.bootlinks.contains(&link)) {
        return Ok(false);
    }
    replace(roots, &directory).map(|()| true)
}

/// Puts the new script on the ESP in the place of the old one, of which libostree keeps a copy.
fn replace(roots: &Roots, directory: &str) -> Result<(), SystemError> {
    let esp = open_on_esp(roots, directory)?;
    let shown = format!("/boot/{directory}/grub.cfg");
    let copied = tree::remove(&esp, b"grub.cfg.old")
        .and_then(|()| dir::open(&esp, "grub.cfg", OFlags::RDONLY))
        .and_then(|old| Copier::default().plain_file(old, &esp, b"grub.cfg.old"));
    if let Err(error) = copied {
        log::info!("no copy of {shown} is kept: {error}");
        // A part of a copy would look like a whole one.
        tree::remove(&esp, b"grub.cfg.old").context("remove", format_args!("{shown}.old"))?;
    }
    rustix::fs::renameat(&esp, "grub.cfg.new", &esp, "grub.cfg").context("replace", &shown)?;
    dir::open(&roots.mounted_boot, directory, OFlags::RDONLY | OFlags::DIRECTORY)
        .and_then(rustix::fs::syncfs)
        .context("sync", shown)
}

fn open_on_esp(roots: &Roots, directory: &str) -> Result<OwnedFd, SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    dir::open(&roots.mounted_boot, directory, flags).context("open", format_args!("/boot/{directory}"))
}

/// Removes what a program has written, and its temporary file.
fn remove_output(directory: &OwnedFd, name: &str) -> Result<(), SystemError> {
    for name in [name.to_owned(), format!("{name}.new")] {
        tree::remove(directory, name.as_bytes()).context("remove", name)?;
    }
    Ok(())
}

/// Logs the end of a program's output. Returns its last line.
fn tell(program: &str, ended: &Ended) -> String {
    const LINES: usize = 30;
    const CHARACTERS: usize = 200;
    let output = String::from_utf8_lossy(&ended.output);
    let lines: Vec<String> = output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.chars().take(CHARACTERS).collect())
        .collect();
    let begin = lines.len().saturating_sub(LINES);
    if begin > 0 {
        log::info!("{program}: only the end of its output is shown");
    }
    lines.iter().skip(begin).for_each(|line| log::info!("{program}: {line}"));
    lines.last().cloned().unwrap_or_default()
}
