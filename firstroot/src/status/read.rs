//! Reads the state of a system. What cannot be read is noted, and the rest is shown.

use finalize_staged::inspect::{self, Staged};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_links::follow_by_text;
use ostree_sysroot::boot_names::{kernel_directory, prepared};
use ostree_sysroot::deployment::{Deployment, identity};
use ostree_sysroot::roots::read_if_there;
use ostree_sysroot::{Roots, Sysroot, boot_loader, booted, stateroots, sysroot};
use rustix::fs::{AtFlags, OFlags};
use system::{SystemError, dir};

use std::fmt::Display;
use std::os::fd::AsFd;

use super::model::{Next, Recovered, ShownDeployment, ShownStaged, State};
use crate::place::{Place, is_root};
use crate::read::menu::{self, MenuEntry};
use crate::read::{journal, policy, programs};

const LIMIT: u64 = 1 << 20;

/// Reads everything; `with_journal`: the journal of this machine, too.
pub(crate) fn read(place: &Place, with_journal: bool) -> State {
    let roots = &place.roots;
    let mut state = State::default();
    if !is_root() {
        state.not_seen.push("this is not run as root: what only root may read is missing below".to_owned());
    }
    let booted =
        if place.runs { booted::booted_identity(roots).map_err(|error| error.to_string()) } else { Err(String::new()) };
    state.read_menu(roots, booted.clone().ok());
    if let Err(error) = booted
        && place.runs
    {
        state.not_seen.push(error);
    }
    let staged = inspect::staged(&place.root).unwrap_or_else(|error| {
        state.not_seen.push(format!("what is staged: {error}"));
        None
    });
    if let Some(staged) = &staged {
        state.read_staged(roots, staged);
    }
    state.decide_next(roots, staged.as_ref());
    state.read_soft_reboot(roots);
    state.read_stamp(roots);
    state.read_recovery(roots);
    state.policy = Some(policy::read(roots));
    state.boot_loader = match sysroot::repo_config(roots)
        .map_err(|error| error.to_string())
        .and_then(|config| boot_loader::find(roots, config.bootloader).map_err(|error| error.to_string()))
    {
        Ok(found) => Some(found.name().to_owned()),
        Err(error) => state.unseen("the boot loader", &error),
    };
    state.programs = programs::read(roots);
    if with_journal && place.runs {
        state.last_finalization =
            journal::last_finalization().unwrap_or_else(|error| state.unseen("the last finalization", &error));
    }
    state
}

impl State {
    fn unseen<T>(&mut self, what: &str, error: &dyn Display) -> Option<T> {
        self.not_seen.push(format!("{what}: {error}"));
        None
    }

    fn read_menu(&mut self, roots: &Roots, booted: Option<booted::Identity>) {
        let menu = match menu::read(roots) {
            Ok(menu) => menu,
            Err(error) => {
                self.not_seen.push(format!("the boot menu: {error}"));
                return;
            }
        };
        for (path, reason) in menu.damaged.iter().chain(&menu.unread) {
            self.warnings.push(format!("{path}: {reason}"));
        }
        for entry in menu.entries {
            let path = match follow_by_text(roots.sysroot.as_fd(), &format!("/{}", entry.link)) {
                Ok(found) => found.path,
                Err(error) => {
                    self.warnings.push(format!("{}: {error}; see `firstroot check`", entry.path));
                    continue;
                }
            };
            let shown = self.shown(roots, entry, &path, booted);
            self.deployments.push(shown);
        }
        self.booted = self.deployments.iter().find(|shown| shown.booted).map(|shown| shown.deployment.clone());
        // After a recovery no entry may lead to it.
        if self.booted.is_none() && booted.is_some() {
            let all = stateroots::all_deployments(roots.sysroot.as_fd()).unwrap_or_default();
            let found = all.into_iter().find(|path| identity(roots, path).ok().flatten() == booted);
            self.booted = found.map(|path| format!("/{path}"));
        }
    }

    fn shown(
        &mut self,
        roots: &Roots,
        entry: MenuEntry,
        path: &DeploymentPath,
        booted: Option<booted::Identity>,
    ) -> ShownDeployment {
        let title = entry.title().to_owned();
        let read = Deployment::read(roots, path.clone(), entry.link.bootcsum.clone(), &mut self.warnings);
        let (version, pinned) = match read {
            Ok(read) => (read.version, read.pinned),
            Err(error) => {
                self.warnings.push(error.to_string());
                (None, false)
            }
        };
        ShownDeployment {
            index: self.deployments.len(),
            deployment: format!("/{path}"),
            stateroot: path.stateroot.to_string(),
            commit: path.id.commit.to_string(),
            title,
            version,
            entry: entry.path,
            booted: booted.is_some() && identity(roots, path).ok().flatten() == booted,
            pinned,
            tries_left: entry.tries_left,
        }
    }

    fn read_staged(&mut self, roots: &Roots, staged: &Staged) {
        let target = &staged.state.target;
        let read = Deployment::read(roots, target.deployment.clone(), target.bootcsum.clone(), &mut self.warnings);
        let conflicts = match Sysroot::load(roots).map_err(|error| error.to_string()) {
            Ok(sysroot) => inspect::conflicts(roots, &sysroot, staged),
            Err(error) => Err(error),
        };
        let conflicts = conflicts.unwrap_or_else(|error| {
            self.not_seen.push(format!("conflicts in /etc: {error}"));
            Vec::new()
        });
        self.staged = Some(ShownStaged {
            deployment: format!("/{}", target.deployment),
            version: read.ok().and_then(|read| read.version),
            locked: staged.locked,
            interrupted: staged.interrupted,
            prepared: is_prepared(roots, staged).ok(),
            conflicts,
        });
    }

    fn decide_next(&mut self, roots: &Roots, staged: Option<&Staged>) {
        let first =
            self.deployments.first().map(|first| (first.deployment.clone(), first.entry.clone(), first.tries_left));
        let stops = self.staged.as_ref().is_some_and(|staged| !staged.conflicts.is_empty());
        let is_gone = |staged: &Staged| identity(roots, &staged.state.target.deployment) == Ok(None);
        let by_default = match staged {
            Some(staged) if !staged.locked && !stops && !is_gone(staged) => Some(Next {
                deployment: format!("/{}", staged.state.target.deployment),
                why: "it is staged, and is finalized at shutdown".to_owned(),
            }),
            other => first.clone().map(|(deployment, _, _)| {
                let why = match other {
                    None => "it is the first entry of the boot menu",
                    Some(staged) if staged.locked => {
                        "it is the first entry of the boot menu; the staged deployment is locked"
                    }
                    Some(staged) if is_gone(staged) => {
                        "it is the first entry of the boot menu; the staged deployment does not exist"
                    }
                    Some(_) => "it is the first entry of the boot menu; conflicts in /etc stop the staged deployment",
                };
                Next { deployment, why: why.to_owned() }
            }),
        };
        self.next = by_default.map(|mut next| {
            if let Some(once) = once_by_grub(roots) {
                next.why = format!("{}; but GRUB boots {once:?} once (next_entry)", next.why);
            }
            next
        });
        let (Some((deployment, entry, tries_left)), Some(booted)) = (first, &self.booted) else { return };
        if deployment == *booted || is_newer_than_this_boot(roots, &entry) {
            return;
        }
        self.fell_back = Some(match tries_left {
            Some(0) => format!("the boot loader has given up {deployment}: it has no tries left"),
            _ => format!("{deployment} is the default; another entry was chosen, or the boot loader fell back"),
        });
    }

    fn read_soft_reboot(&mut self, roots: &Roots) {
        match booted::next_root(roots) {
            Ok(None) => {}
            Ok(Some(next)) => {
                let is_it = |path: &String| {
                    let path = path.trim_start_matches('/').parse::<DeploymentPath>();
                    path.is_ok_and(|path| identity(roots, &path).ok().flatten() == Some(next))
                };
                let all = self.deployments.iter().map(|shown| &shown.deployment);
                let all = all.chain(self.staged.iter().map(|staged| &staged.deployment));
                self.soft_reboot = all.into_iter().find(|path| is_it(path)).cloned();
            }
            Err(error) => self.not_seen.push(format!("the next root of a soft reboot: {error}")),
        }
    }

    fn read_stamp(&mut self, roots: &Roots) {
        match inspect::stamp(roots) {
            Ok(Some(text)) => match inspect::remarks(&text) {
                Some(remarks) => self.remarks = remarks,
                None => self.failure = Some(text),
            },
            Ok(None) => {}
            Err(error) => self.not_seen.push(error.to_string()),
        }
    }

    fn read_recovery(&mut self, roots: &Roots) {
        match read_if_there(&roots.system, &"", "run/ostree/recovered-boot", LIMIT) {
            Ok(found) => self.recovered = found.map(|bytes| recovered(&String::from_utf8_lossy(&bytes))),
            Err(error) => self.not_seen.push(error.to_string()),
        }
    }
}

/// The file of `ostree-prepare-root`: a value is one line, and has no escapes.
pub(crate) fn recovered(text: &str) -> Recovered {
    let value = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    Recovered { missing: value("missing"), deployment: value("deployment"), reason: value("reason") }
}

/// Whether the kernel of what is staged is in `/boot`, or beside its place.
fn is_prepared(roots: &Roots, staged: &Staged) -> Result<bool, SystemError> {
    let directory = kernel_directory(&staged.state.target.deployment.stateroot, &staged.state.target.bootcsum);
    let mut found = false;
    for name in [prepared(&directory), directory] {
        let path = format!("ostree/{name}");
        let opened = dir::if_there(dir::open(&roots.boot, &path, OFlags::PATH));
        found |= system::Context::context(opened, "look up", format_args!("/boot/{path}"))?.is_some();
    }
    Ok(found)
}

/// Whether an entry was written since this boot: then it was not passed over.
fn is_newer_than_this_boot(roots: &Roots, entry: &str) -> bool {
    let Ok(booted) = booted::booted_at(roots) else { return false };
    let written = rustix::fs::statat(&roots.boot, entry.trim_start_matches("/boot/"), AtFlags::empty());
    written.is_ok_and(|written| (written.st_mtime, written.st_mtime_nsec as i64) > booted)
}

/// The entry that GRUB was told to boot once.
fn once_by_grub(roots: &Roots) -> Option<String> {
    let read = |path: &&str| read_if_there(&roots.mounted_boot, &"/boot", path, LIMIT).ok().flatten();
    let text = ["grub2/grubenv", "grub/grubenv"].iter().find_map(read)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let once = text.lines().find_map(|line| line.strip_prefix("next_entry="))?.trim();
    (!once.is_empty()).then(|| once.to_owned())
}
