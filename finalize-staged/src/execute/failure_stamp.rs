//! The stamp in `/boot` that outlives a failure: written before anything is changed, removed right after the swap. Whoever finds
//! it at the next boot knows that finalization was interrupted, and where.

use std::os::fd::OwnedFd;

use boot_list::execute::{install, sabotage};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_names::NEW_STAMP as NEW;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir::{self, write_all};
use system::{Context, SystemError, tree};

/// Its name in `boot/ostree`, libostree's.
const NAME: &str = "finalize-failure.stamp";
/// As an administrator would type it.
pub(crate) const PATH: &str = "/boot/ostree/finalize-failure.stamp";
/// Room for the words beside the deployment's path: the file's content changes from phase to phase, and is overwritten in place, so
/// that no power cut leaves it empty.
const WORDS: usize = 96;
/// What somebody else may have written is not read without end.
const LIMIT: u64 = 1 << 16;

/// The stamp of a run.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// Of `/boot/ostree`; `None`: nothing can be written there.
    file: Option<OwnedFd>,
    target: DeploymentPath,
}

impl Stamp {
    /// Writes it, durably. That this fails is a warning: whoever needs `/boot` will fail on it anyway.
    pub(crate) fn write(roots: &Roots, target: &DeploymentPath, phase: &str) -> Self {
        let mut stamp = Self { file: None, target: target.clone() };
        match write_durably(roots, &stamp.text(phase)) {
            Ok(file) => stamp.file = Some(file),
            Err(error) => log::warn!("{error}: a failure will not be reported at the next boot"),
        }
        stamp
    }

    /// Names another phase. Not durable by itself: after a power cut an earlier one may be read, and after a kill this one.
    pub(crate) fn update(&mut self, phase: &str) {
        if let Some(file) = &self.file {
            // It was there a moment ago; what it says then is less exact, and still true.
            let _ = rustix::io::pwrite(file, &self.text(phase), 0);
        }
    }

    /// The update counts.
    pub(crate) fn remove(&mut self, roots: &Roots) {
        self.file = None;
        remove(roots);
    }

    fn text(&self, phase: &str) -> Vec<u8> {
        let target = self.target.to_string();
        let mut text = format!("interrupted while {phase}, finalizing {target}").into_bytes();
        text.resize(WORDS + target.len(), b' ');
        if let Some(last) = text.last_mut() {
            *last = b'\n';
        }
        text
    }
}

/// Writes why finalization failed, durably.
pub(crate) fn write_failure(roots: &Roots, message: &str) {
    if let Err(error) = write_durably(roots, format!("{message}\n").as_bytes()) {
        log::warn!("{error}: the failure will not be reported at the next boot");
    }
}

/// One that is there is overwritten in place, which needs no room on a full disk; a new one has its name when it is whole. So
/// none is ever empty.
fn write_durably(roots: &Roots, text: &[u8]) -> Result<OwnedFd, SystemError> {
    let directory = install::boot_ostree(roots)?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |name: &str, flags| rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o644));
    let written = match open(NAME, flags) {
        Ok(file) => write_all(&file, text)
            .and_then(|()| rustix::fs::ftruncate(&file, text.len() as u64))
            .and_then(|()| sync(&file))
            .map(|()| file),
        Err(Errno::NOENT) => tree::remove(&directory, NEW.as_bytes())
            .and_then(|()| open(NEW, flags | OFlags::CREATE | OFlags::EXCL))
            .and_then(|file| {
                write_all(&file, text)?;
                sync(&file)?;
                rustix::fs::renameat(&directory, NEW, &directory, NAME)?;
                Ok(file)
            })
            .inspect_err(|_| {
                // The error that is being returned says more than one about this.
                let _ = tree::remove(&directory, NEW.as_bytes());
            }),
        Err(error) => Err(error),
    };
    written.and_then(|file| sync(&directory).map(|()| file)).context("write", PATH)
}

fn sync(file: &OwnedFd) -> Result<(), Errno> {
    if sabotage::is_on("no-sync") { Ok(()) } else { rustix::fs::fsync(file) }
}

/// Removes it, if it is there.
pub(crate) fn remove(roots: &Roots) {
    let removed = match roots.boot_ostree() {
        Ok(Some(directory)) => dir::remove_file(directory, NAME).context("remove", PATH),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        log::warn!("{error}: the next boot will report a failed finalization; ignore that report");
    }
}

/// What it says, if it is there.
pub(crate) fn read(roots: &Roots) -> Result<Option<String>, SystemError> {
    match dir::read_no_link(&roots.boot, format!("ostree/{NAME}"), LIMIT) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).context("read", PATH),
    }
}

/// The deployment that a stamp of an interrupted run is about.
pub(crate) fn target(text: &str) -> Option<DeploymentPath> {
    text.rsplit_once("finalizing ")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_names_what_it_is_about() {
        let path = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64));
        let stamp = Stamp { file: None, target: path.parse().unwrap() };
        let text = String::from_utf8(stamp.text("merging /etc")).unwrap();
        assert!(text.starts_with("interrupted while merging /etc, finalizing ostree/") && text.ends_with(" \n"));
        assert_eq!(target(&text).map(|path| path.to_string()), Some(path));
        assert_eq!(target("ostree-finalize-staged: no space left"), None);
    }
}
