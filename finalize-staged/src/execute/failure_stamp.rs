//! The failure stamp in `/boot`: written before anything is changed, removed right after the swap. If it exists at the next boot,
//! finalization failed or was interrupted, and it names the phase.

use std::os::fd::OwnedFd;

use boot_list::execute::{install, sabotage};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_names::NEW_STAMP as NEW;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir::{self, write_all};
use system::printable::printable;
use system::{Context, SystemError, tree};

use crate::brief::Brief;

/// Its name in `boot/ostree`, libostree's.
const NAME: &str = "finalize-failure.stamp";
/// The first words of a stamp that is not about a failure.
pub(crate) const FINALIZED_BUT: &str = "the update is finalized, but ";
/// The first words of a remark about a boot loader's menu.
pub(crate) const MENU_IS_OLD: &str = "GRUB's menu is the old one";
/// Between two remarks.
const ALSO: &str = "; also: ";
/// Before the deployment, at the end of a stamp.
pub(crate) const FINALIZING: &str = "finalizing ";
/// Its absolute path.
pub(crate) const PATH: &str = "/boot/ostree/finalize-failure.stamp";
/// Bytes for the words beside the deployment's path. The text changes from phase to phase, and is overwritten in place, so that a
/// power cut never leaves it empty.
const WORDS: usize = 96;
/// The limit for reading a stamp that another program may have written.
const LIMIT: u64 = 1 << 16;

/// The stamp of a run.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The open stamp; `None` if it could not be written.
    file: Option<OwnedFd>,
    target: DeploymentPath,
}

impl Stamp {
    /// Writes it durably. A failure is a warning: if `/boot` cannot be written, a later step reports the error.
    pub(crate) fn write(roots: &Roots, target: &DeploymentPath, phase: &str) -> Self {
        let mut stamp = Self { file: None, target: target.clone() };
        match write_durably(roots, &stamp.text(phase)) {
            Ok(file) => stamp.file = Some(file),
            Err(error) => log::warn!("{error}: a failure will not be reported at the next boot"),
        }
        stamp
    }

    /// Of a run that has swapped already: nothing is written before there is a remark.
    pub(crate) fn without_file(target: &DeploymentPath) -> Self {
        Self { file: None, target: target.clone() }
    }

    /// Writes another phase, without a sync: after a power cut the stamp may name an earlier phase, after a kill it names this one.
    pub(crate) fn update(&mut self, phase: &str) {
        if let Some(file) = &self.file {
            // After an error the stamp names an earlier phase, which is less exact but true.
            let _ = rustix::io::pwrite(file, &self.text(phase), 0);
        }
    }

    /// The update is active, and the next boot shall report `remarks`; without any the stamp is removed. As for [`Self::update`], a
    /// later sync makes it durable.
    pub(crate) fn swapped(&mut self, roots: &Roots, remarks: &[String]) {
        if remarks.is_empty() {
            return self.remove(roots);
        }
        let text = with_remarks(remarks, &self.target);
        let text = printable(&text) + "\n";
        let written = match &self.file {
            Some(file) => rustix::io::pwrite(file, text.as_bytes(), 0)
                .and_then(|_| rustix::fs::ftruncate(file, text.len() as u64))
                .context("write", PATH),
            None => write_durably(roots, text.as_bytes()).map(drop),
        };
        if let Err(error) = written {
            log::warn!("{error}: the next boot will not report this");
        }
    }

    /// Removes it, after the update is active.
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

/// Writes the reason of a failure durably: one line, and below it the same in short lines.
pub(crate) fn write_failure(roots: &Roots, message: &str, brief: &Brief) {
    let first = printable(message);
    let text: String = std::iter::once(first.as_ref())
        .chain(brief.lines().iter().map(String::as_str))
        .flat_map(|line| [line, "\n"])
        .collect();
    if let Err(error) = write_durably(roots, text.as_bytes()) {
        log::warn!("{error}: the failure will not be reported at the next boot");
    }
}

/// An existing stamp is overwritten in place, which needs no room on a full disk. A new one gets its name when it is complete. So a
/// stamp is never empty.
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
                // The returned error matters more than an error of this removal.
                let _ = tree::remove(&directory, NEW.as_bytes());
            }),
        Err(error) => Err(error),
    };
    written.and_then(|file| sync(&directory).map(|()| file)).context("write", PATH)
}

fn sync(file: &OwnedFd) -> Result<(), Errno> {
    if sabotage::is_on("no-sync") { Ok(()) } else { rustix::fs::fsync(file) }
}

/// Removes it, if it exists.
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

/// Its text, if it exists.
pub(crate) fn read(roots: &Roots) -> Result<Option<String>, SystemError> {
    match dir::read_no_link(&roots.boot, format!("ostree/{NAME}"), LIMIT) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(Errno::NOENT) => Ok(None),
        // Reported once and removed, as any other: else each boot would fail to read it.
        Err(Errno::FBIG) => Ok(Some(format!("{PATH} is larger than {} KiB, so another program wrote it", LIMIT >> 10))),
        Err(error) => Err(error).context("read", PATH),
    }
}

/// The deployment in the stamp of an interrupted run.
pub(crate) fn target(text: &str) -> Option<DeploymentPath> {
    text.rsplit_once(FINALIZING)?.1.trim().parse().ok()
}

/// The text of a stamp that is not about a failure.
fn with_remarks(remarks: &[String], target: &DeploymentPath) -> String {
    format!("{FINALIZED_BUT}{}; {FINALIZING}{target}", remarks.join(ALSO))
}

/// The remarks in a stamp that is not about a failure.
pub(crate) fn remarks(text: &str) -> Option<Vec<String>> {
    let remarks = text.rsplit_once(FINALIZING).map_or(text, |(remarks, _)| remarks).strip_prefix(FINALIZED_BUT)?;
    Some(remarks.trim_end_matches([';', ' ']).split(ALSO).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_that_is_too_large_is_reported() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["sysroot/boot/ostree", "boot"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let roots = Roots::at(root.path()).unwrap();
        assert_eq!(read(&roots).unwrap(), None);
        std::fs::write(root.path().join("sysroot/boot/ostree").join(NAME), vec![b'x'; LIMIT as usize + 1]).unwrap();
        assert!(read(&roots).unwrap().unwrap().contains("larger than 64 KiB"));
    }

    #[test]
    fn a_stamp_names_what_it_is_about() {
        let path = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64));
        let stamp = Stamp { file: None, target: path.parse().unwrap() };
        let text = String::from_utf8(stamp.text("merging /etc")).unwrap();
        assert!(text.starts_with("interrupted while merging /etc, finalizing ostree/") && text.ends_with(" \n"));
        assert_eq!(target(&text).as_ref(), Some(&stamp.target));
        assert_eq!(target("ostree-finalize-staged: no space left"), None);
        assert_eq!(remarks(&text), None);
        let both = ["GRUB's menu is the old one: x; type `y`".to_owned(), "the SELinux policy z".to_owned()];
        let text = with_remarks(&both, &stamp.target);
        assert_eq!((remarks(&text).unwrap().as_slice(), target(&text)), (&both[..], Some(stamp.target)));
    }
}
