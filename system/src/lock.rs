//! The same locks as libostree: open file description locks on a whole file (fcntl_locking(2), `F_OFD_SETLK`).

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::dir;

/// A lock that is held until this is dropped or the process ends.
///
/// Dropping it removes the file, as libostree does, so the name can lead to another file than the locked one.
#[derive(Debug)]
pub struct Lock(Lockable);

/// A file that can be locked.
#[derive(Debug)]
pub struct Lockable {
    directory: OwnedFd,
    name: String,
    file: OwnedFd,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed before the lock is released: a waiting process sees that the name leads to another file, and starts again.
        // A file that stays does no harm.
        let _ = dir::remove_file(&self.0.directory, &self.0.name);
    }
}

/// A process that has a lock on the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// The name of its program.
    pub program: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.program, self.process)
    }
}

impl Lockable {
    /// Opens the file `name` in `directory`, and makes it if it does not exist.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn open(directory: OwnedFd, name: &str) -> Result<Self, Errno> {
        let file = open_file(&directory, name)?;
        Ok(Self { directory, name: name.to_owned(), file })
    }

    /// Takes the exclusive lock if no other process holds it.
    ///
    /// # Errors
    /// As `fcntl_locking(2)`. If another process holds the lock, this value is returned.
    pub fn try_lock(mut self) -> Result<Result<Lock, Self>, Errno> {
        loop {
            if !lock(&self.file)? {
                return Ok(Err(self));
            }
            let there = dir::stat_name(&self.directory, &self.name)?.map(|stat| (stat.device, stat.inode));
            let own = dir::stat_fd(&self.file)?;
            if there == Some((own.device, own.inode)) {
                return Ok(Ok(Lock(self)));
            }
            // The previous owner has removed the file.
            self.file = open_file(&self.directory, &self.name)?;
        }
    }

    /// The process that holds a lock on it, as far as `/proc` shows. The kernel names no process for these locks, so this is a
    /// process that has the file open and a lock on an open file. Only for a message: skips processes that cannot be read.
    pub fn holder(&self) -> Option<Holder> {
        let own = dir::stat_fd(&self.file).ok()?;
        let proc = dir::open_root(std::path::Path::new("/proc")).ok()?;
        let processes = dir::names(&proc, ".").ok()?.into_iter().filter_map(|name| name.parse::<u32>().ok());
        processes.filter(|process| *process != std::process::id()).find_map(|process| {
            let descriptors = dir::names(&proc, format!("{process}/fd")).ok()?;
            let has = descriptors.iter().any(|fd| {
                let info = dir::read(&proc, format!("{process}/fdinfo/{fd}"), 1 << 16).unwrap_or_default();
                let Ok(stat) = rustix::fs::statat(&proc, format!("{process}/fd/{fd}"), rustix::fs::AtFlags::empty())
                else {
                    return false;
                };
                (stat.st_dev, stat.st_ino) == (own.device, own.inode)
                    && String::from_utf8_lossy(&info).contains("lock:")
            });
            let program = dir::read(&proc, format!("{process}/comm"), 1 << 12).unwrap_or_default();
            has.then(|| Holder { process, program: String::from_utf8_lossy(&program).trim_end().to_owned() })
        })
    }
}

fn open_file(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))
}

/// Tries to take the lock; whether it was free.
fn lock(file: &OwnedFd) -> Result<bool, Errno> {
    // SAFETY: all zeros is a valid flock: the whole file, from its beginning.
    let mut region: libc::flock = unsafe { std::mem::zeroed() };
    region.l_type = libc::F_WRLCK as libc::c_short;
    region.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open, and the structure outlives the call, which only reads it.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const region) };
    if result == 0 {
        return Ok(true);
    }
    match Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO) {
        Errno::AGAIN | Errno::ACCESS => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(name: &str) -> Lockable {
        let directory = dir::open_root(&std::env::temp_dir()).unwrap();
        Lockable::open(directory, name).unwrap()
    }

    #[test]
    fn a_second_descriptor_does_not_get_the_lock_until_the_first_is_given_up() {
        let name = format!("firstroot-lock-test-{}", std::process::id());
        let first = open(&name).try_lock().unwrap().unwrap();
        let second = open(&name).try_lock().unwrap().unwrap_err();
        drop(first);
        let second = second.try_lock().unwrap().unwrap();
        open(&name)
            .try_lock()
            .unwrap()
            .expect_err("the file that the second one waited for was removed, and made anew");
        drop(second);
        assert!(!std::env::temp_dir().join(name).exists());
    }
}
