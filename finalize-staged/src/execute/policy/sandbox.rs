//! Runs `semodule --refresh` of the new tree on a copy of its policy: in a root, mount table and process table of its own.
//!
//! Two processes do it, both of this program. The outer one makes the namespaces and waits. The inner one is PID 1 of the process
//! table, mounts the root and starts `semodule`: when it is killed, the kernel kills everything in there. libostree has bubblewrap
//! do the same.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::mount::{self, Access};
use system::program::{End, Program};
use system::{Context, SystemError, tree};

use crate::policy::changes::USERS;
use crate::program::{FAILED, SUCCESS, Status};

/// The hidden option of the outer process; its values are the deployment and the work directory.
pub(crate) const OUTER: &str = "rebuild-policy";
/// That of the inner process.
pub(crate) const INNER: &str = "rebuild-policy-inside";
/// In the work directory: the copy of `/etc/selinux`.
pub(crate) const COPY: &str = "selinux";
/// In the work directory: the machine's files of [`USERS`], under their last names.
pub(crate) const FILES: &str = "files";
/// In the work directory: where the root is mounted.
pub(crate) const ROOT: &str = "root";

/// No limit of its own: the process that has started the outer one kills all of them.
const ANY_TIME: Duration = Duration::from_secs(24 * 60 * 60);
const ENVIRONMENT: &[&[u8]] = &[b"PATH=/usr/sbin:/usr/bin:/sbin:/bin", b"LC_ALL=C"];
const THIS_PROGRAM: &[u8] = b"/proc/self/exe";

/// The outer process.
pub(crate) fn outer(deployment: &OsStr, work: &OsStr) -> Status {
    let inner = system::namespaces::enter().context("make", "namespaces").and_then(|()| {
        let option = format!("--{INNER}");
        let words = [THIS_PROGRAM, option.as_bytes(), deployment.as_bytes(), work.as_bytes()];
        // In this process group, so that it is killed with this one.
        Program::new(&words, ENVIRONMENT)
            .and_then(|program| program.run_in_this_group())
            .context("execute", "/proc/self/exe")
    });
    match inner {
        Ok(End::Status(status)) => status,
        Ok(_) => FAILED,
        Err(error) => {
            log::error!("{error}");
            FAILED
        }
    }
}

/// The inner process.
pub(crate) fn inner(deployment: &OsStr, work: &OsStr) -> Status {
    if let Err(error) = enter(Path::new(deployment), Path::new(work)) {
        log::error!("{error}");
        return FAILED;
    }
    match refresh() {
        Ok(status) => status,
        Err(text) => {
            log::error!("{text}");
            FAILED
        }
    }
}

/// Makes the root and enters it: the deployment, read-only, with the copy of its policy.
fn enter(deployment: &Path, work: &Path) -> Result<(), SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::openat(CWD, path, flags, Mode::empty()).context("open", path.display());
    let at = work.join(ROOT);
    let root = mount::clone(open(deployment)?).context("bind", deployment.display())?;
    mount::set_access(&root, Access::ReadOnly).context("set the access of", deployment.display())?;
    mount::attach(&root, open(&at)?).context("bind", at.display())?;
    let root = open(&at)?;
    let copy = mount::clone(open(&work.join(COPY))?).context("bind", "/etc/selinux")?;
    put(copy, &root, "etc/selinux")?;
    put_users(&open(&work.join(FILES))?, &root)?;
    let none = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    put(mount::new_filesystem("proc", "proc", &[], none)?, &root, "proc")?;
    put(mount::clone(open(Path::new("/dev"))?).context("bind", "/dev")?, &root, "dev")?;
    for name in ["run", "tmp", "var"] {
        match put(mount::new_filesystem("tmpfs", "tmpfs", &[("mode", "0755")], none)?, &root, name) {
            // In some trees /tmp is a link. semodule needs none of them.
            Err(error) if matches!(error.reason, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            other => other?,
        }
    }
    std::os::unix::fs::chroot(&at).and_then(|()| std::env::set_current_dir("/")).map_err(|error| SystemError {
        operation: "enter",
        object: at.display().to_string().into(),
        reason: Errno::from_io_error(&error).unwrap_or(Errno::IO),
        kernel: None,
    })?;
    // Its programs gain nothing by set-user-ID, and stay in this SELinux domain, as under libostree.
    rustix::thread::set_no_new_privs(true).context("give up", "new privileges")
}

/// Mounts the machine's users over the new tree's, which `/etc` has until it is merged. A file that the new tree does not have is left
/// out.
fn put_users(files: &OwnedFd, root: &OwnedFd) -> Result<(), SystemError> {
    for path in USERS {
        let name = file_name(path);
        let file = match mount::clone_at(files, name) {
            Err(Errno::NOENT) => continue,
            other => other.context("bind", format_args!("/etc/{path}"))?,
        };
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let etc = tree::open(root, b"etc").context("open", "/etc")?;
        let attached = tree::open(etc, parent.as_bytes()).and_then(|parent| mount::attach_at(file, parent, name));
        match attached {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            other => other.context("mount", format_args!("/etc/{path}"))?,
        }
    }
    Ok(())
}

/// The name of one of [`USERS`] in the directory of such files.
pub(crate) fn file_name(path: &'static str) -> &'static str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Mounts on a directory of the root; no link is followed.
fn put(mount: mount::Detached, root: &OwnedFd, path: &str) -> Result<(), SystemError> {
    let mut directory = tree::open(root, b".").context("open", "/")?;
    for name in path.split('/') {
        directory = tree::open(directory.as_fd(), name.as_bytes()).context("open", format_args!("/{path}"))?;
    }
    mount::attach(mount, directory).context("mount", format_args!("/{path}"))
}

fn refresh() -> Result<Status, String> {
    let places = ["/usr/sbin/semodule", "/usr/bin/semodule", "/sbin/semodule"];
    let is_there = |path: &&&str| rustix::fs::stat(**path).is_ok();
    let Some(semodule) = places.iter().find(is_there) else {
        return Err("the new tree has no semodule".to_owned());
    };
    let failed = |error: Errno| format!("cannot execute {semodule}: {error}");
    let program = |arguments: &[&'static [u8]]| {
        let words = [&[semodule.as_bytes()], arguments].concat();
        Program::new(&words, ENVIRONMENT).map_err(failed)
    };
    // Some versions print it to the standard error.
    let help = program(&[b"--help"])?.run(ANY_TIME, &mut || {}).map_err(failed)?;
    if help.end != End::Status(SUCCESS) {
        return Err(format!("semodule --help ended {}", how(help.end)));
    }
    if !help.output.windows(b"--refresh".len()).any(|word| word == b"--refresh") {
        return Err("semodule of the new tree has no --refresh".to_owned());
    }
    match program(&[b"-N", b"--refresh"])?.run_in_this_group().map_err(failed)? {
        End::Status(SUCCESS) => Ok(SUCCESS),
        end => Err(format!("semodule --refresh ended {}", how(end))),
    }
}

fn how(end: End) -> String {
    match end {
        End::Status(status) => format!("with exit status {status}"),
        End::Signal(signal) => format!("by signal {signal}"),
        End::TooLong => "because it took too long".to_owned(),
    }
}

/// The program that is the outer process.
pub(crate) fn program(deployment: &str, work: &str) -> Result<Program, Errno> {
    let option = format!("--{OUTER}");
    Program::new(&[THIS_PROGRAM, option.as_bytes(), deployment.as_bytes(), work.as_bytes()], ENVIRONMENT)
}
