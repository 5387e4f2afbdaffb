//! Mounts as owned descriptors, by the mount API of Linux 5.2 and later (fsopen(2), open_tree(2), move_mount(2)).
//!
//! A [`Detached`] mount is not attached to the tree: it disappears when it is dropped or its process is killed. So everything is
//! prepared detached, and attaching is one call. All calls used are in Linux 5.14, the oldest kernel that is supported, so there is no
//! fallback for older ones.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::SystemError;

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As the mount that it was made from.
    Inherited,
    /// Read-only, this mount alone.
    ReadOnly,
    /// Writable, as far as the filesystem is.
    Writable,
}

/// A mount that is not attached to the tree yet.
#[derive(Debug)]
pub struct Detached(OwnedFd);

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A copy of the mount that `directory` is on, rooted there, without the mounts below it: a bind mount after it is attached.
///
/// # Errors
/// As `open_tree(2)`.
pub fn clone(directory: impl AsFd) -> Result<Detached, Errno> {
    clone_at(directory, "")
}

/// The same of the directory `name` in `directory`; `name` is one component, or empty, and no link is followed.
///
/// # Errors
/// As `open_tree(2)`, but never `ENOTDIR`: a file is cloned, too.
pub fn clone_at(directory: impl AsFd, name: &str) -> Result<Detached, Errno> {
    debug_assert!(!name.contains('/'), "a name is one path component");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    rustix::mount::open_tree(directory.as_fd(), name, flags).map(Detached)
}

/// Sets whether the mount itself (not its filesystem) is read-only; its other flags stay.
///
/// # Errors
/// As `mount_setattr(2)`; `EBUSY` when files on it are open for writing.
pub fn set_access(mount: impl AsFd, access: Access) -> Result<(), Errno> {
    let read_only = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    match access {
        Access::Inherited => Ok(()),
        Access::ReadOnly => setattr(mount.as_fd(), Attr { set: read_only, ..Attr::default() }, 0),
        Access::Writable => setattr(mount.as_fd(), Attr { clear: read_only, ..Attr::default() }, 0),
    }
}

/// First slave, then shared: mounts below it reach later copies of it, and never the place it was copied from.
///
/// # Errors
/// As `mount_setattr(2)`.
pub fn set_slave_and_shared(mount: impl AsFd) -> Result<(), Errno> {
    for propagation in [MountPropagationFlags::DOWNSTREAM, MountPropagationFlags::SHARED] {
        setattr(mount.as_fd(), Attr { propagation: u64::from(propagation.bits()), ..Attr::default() }, 0)?;
    }
    Ok(())
}

/// Makes the mount at `/`, and all below it, private: a mount under a shared one cannot be moved.
///
/// # Errors
/// As `mount_setattr(2)`; `EINVAL` when nothing is mounted exactly there.
pub fn make_all_private() -> Result<(), Errno> {
    let propagation = u64::from(MountPropagationFlags::PRIVATE.bits());
    setattr_at(libc::AT_FDCWD, c"/", Attr { propagation, ..Attr::default() }, libc::AT_RECURSIVE)
}

/// Moves this process to a new mount namespace. Mounts do not propagate into it or out of it.
///
/// # Errors
/// As `unshare(2)` and [`make_all_private`].
pub fn enter_private_namespace() -> Result<(), Errno> {
    // SAFETY: only the flag that concerns open files and threads sharing them is a danger, and it is not given.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS)? };
    make_all_private()
}

/// Mounts `mount` on the directory `target`. If it is attached already, moves it with all mounts below it.
///
/// # Errors
/// As `move_mount(2)`.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    attach_at(mount, target, "")
}

/// The same on `path` in `directory`. A link at its end is not followed, other links in it are. So `path` must be one component, or
/// made by this program.
///
/// # Errors
/// As `move_mount(2)`.
pub fn attach_at(mount: impl AsFd, directory: impl AsFd, path: impl AsRef<Path>) -> Result<(), Errno> {
    move_mount(mount.as_fd(), directory.as_fd(), path.as_ref())
}

fn move_mount(mount: BorrowedFd<'_>, directory: BorrowedFd<'_>, path: &Path) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", directory, path, flags)
}

/// Detaches the mount at `path` from the tree, with all mounts below it, even if it is in use.
///
/// # Errors
/// As `umount2(2)`.
pub fn detach(path: &Path) -> Result<(), Errno> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Makes the mount at `new_root` the root of every process whose root was the current one, which goes to `put_old`.
///
/// # Errors
/// As `pivot_root(2)`.
pub fn pivot_root(new_root: &Path, put_old: &Path) -> Result<(), Errno> {
    rustix::process::pivot_root(new_root, put_old)
}

/// An option of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsOption<'a> {
    /// `key=value`, of at most 255 bytes.
    Text(&'a str, &'a str),
    /// A word alone.
    Flag(&'a str),
}

/// A new filesystem without a device, with string options and mount attributes.
///
/// # Errors
/// Names the filesystem; `ENODEV` if the kernel does not have it, otherwise with the message of the kernel.
pub fn new_filesystem(
    fstype: &'static str,
    source: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<Detached, SystemError> {
    let options: Vec<FsOption<'_>> = options.iter().map(|(key, value)| FsOption::Text(key, value)).collect();
    filesystem(fstype, source, &options, attributes)
}

/// The same with a source: a device or a file.
///
/// # Errors
/// As [`new_filesystem`].
pub fn filesystem(
    fstype: &'static str,
    source: &str,
    options: &[FsOption<'_>],
    attributes: MountAttrFlags,
) -> Result<Detached, SystemError> {
    let named = |reason: Errno, kernel: Option<String>| SystemError {
        operation: "mount",
        object: format!("a filesystem of type {fstype}").into(),
        reason,
        kernel: kernel.map(Into::into),
    };
    let context = rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| named(error, None))?;
    let explain = |reason: Errno| named(reason, kernel_log(&context));
    rustix::mount::fsconfig_set_string(&context, "source", source).map_err(explain)?;
    for option in options {
        match option {
            FsOption::Text(key, value) => rustix::mount::fsconfig_set_string(&context, *key, *value),
            FsOption::Flag(key) => rustix::mount::fsconfig_set_flag(&context, *key),
        }
        .map_err(explain)?;
    }
    rustix::mount::fsconfig_create(&context).map_err(explain)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    rustix::mount::fsmount(&context, flags, attributes).map(Detached).map_err(explain)
}

/// Changes one option of the filesystem that is mounted at `path`, for all its mounts; its other options stay.
///
/// # Errors
/// As `fspick(2)` and `fsconfig(2)`.
pub fn reconfigure(path: &Path, flag: &str) -> Result<(), Errno> {
    let context = rustix::mount::fspick(rustix::fs::CWD, path, rustix::mount::FsPickFlags::FSPICK_CLOEXEC)?;
    rustix::mount::fsconfig_set_flag(&context, flag)?;
    rustix::mount::fsconfig_reconfigure(&context)
}

/// The same for the filesystem of a mount that no path leads to.
///
/// # Errors
/// As [`reconfigure`].
pub fn reconfigure_at(mount: impl AsFd, flag: &str) -> Result<(), Errno> {
    let flags = rustix::mount::FsPickFlags::FSPICK_CLOEXEC | rustix::mount::FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(mount, "", flags)?;
    rustix::mount::fsconfig_set_flag(&context, flag)?;
    rustix::mount::fsconfig_reconfigure(&context)
}

/// Whether the filesystem that `fd` is on, or its mount, is read-only.
///
/// # Errors
/// As `fstatvfs(3)`.
pub fn is_read_only(fd: impl AsFd) -> Result<bool, Errno> {
    Ok(rustix::fs::fstatvfs(fd)?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// The messages of the filesystem about the mount. Each read of its context returns one, like `e overlay: …`.
fn kernel_log(context: &OwnedFd) -> Option<String> {
    let mut messages = Vec::new();
    let mut buffer = [0u8; 512];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        messages.push(text.trim_end().trim_start_matches(|c: char| "ewi".contains(c)).trim_start().to_owned());
    }
    (!messages.is_empty()).then(|| messages.join("; "))
}

/// `struct mount_attr` of `<linux/mount.h>`.
#[repr(C)]
#[derive(Default)]
struct Attr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

fn setattr(mount: BorrowedFd<'_>, attr: Attr, flags: libc::c_int) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    setattr_at(mount.as_raw_fd(), c"", attr, libc::AT_EMPTY_PATH | flags)
}

fn setattr_at(directory: libc::c_int, path: &CStr, attr: Attr, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: rustix does not offer mount_setattr(2). A descriptor that is not open is an error that the kernel returns; the
    // path is a C string that outlives the call, and `attr` has the layout of the kernel's struct of which the size is given;
    // the kernel only reads both, and keeps no pointer.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, directory, path.as_ptr(), flags, &raw const attr, size_of::<Attr>())
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
