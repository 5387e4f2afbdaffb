//! A composefs image as a root: an EROFS that has names, modes and small files, under an overlay that takes the content of the
//! others from a directory of objects (Documentation/filesystems/{erofs,overlayfs}.rst).
//!
//! Needs data-only layers of overlayfs (Linux 6.5), and for objects that are checked when read `verity=require` (6.6). Features are detected
//! by trying them, never by a version.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::loop_device::LoopDevice;
use crate::mount::{self, Detached, FsOption};
use crate::mount_compat;
use crate::{Context, SystemError};

/// Upper layer of the overlay, both absolute paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpperLayer<'a> {
    /// `upperdir`.
    pub upper: &'a str,
    /// `workdir`.
    pub work: &'a str,
}

/// The layers of a root besides the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers<'a> {
    /// Path of the directory of objects, at most 255 bytes long.
    pub objects: &'a str,
    /// The writable layer; without it the root is read-only.
    pub upper: Option<UpperLayer<'a>>,
    /// Objects without the seal that is in the image cannot be read.
    pub verity: bool,
    /// The mount itself is read-only, even with a writable layer.
    pub read_only: bool,
}

/// The root of an image. The kernel takes layers by path, so the image is mounted at the directory `place` for a moment. It only
/// stays there if this process is killed. `path` is that of the image if there is no `/proc` by which to find the open file.
///
/// The kernel mounts the file itself if it can (6.12 and later). Otherwise a loop device is used; also if the kernel counts the file
/// as an extra layer, because then no other overlay could be mounted on top.
///
/// # Errors
/// The error of the kernel for the image or the overlay.
pub fn root(image: impl AsFd, path: Option<&str>, place: &str, layers: &Layers<'_>) -> Result<Detached, SystemError> {
    let image = image.as_fd();
    let file = path.map_or_else(|| format!("/proc/self/fd/{}", image.as_raw_fd()), str::to_owned);
    let acl = has_acls(image).context("read", "the image")?;
    let refused = match root_of(&file, acl, place, layers)? {
        Ok(root) => {
            let at = Path::new(place);
            mount::attach_at(&root, CWD, at).context("mount the root at", place)?;
            // It is attached here; the caller moves it.
            if can_be_stacked_on(place) {
                return Ok(root);
            }
            let device = match LoopDevice::read_only(image) {
                Ok(device) => device,
                Err(reason) => {
                    log::warn!(
                        "no loop device is available, so no overlay can be mounted on this root (`ostree admin unlock` will fail); load the module loop: {reason}"
                    );
                    return Ok(root);
                }
            };
            mount::detach(at).context("unmount the root at", place)?;
            return root_of(&device.path, acl, place, layers)?;
        }
        Err(refused) => refused,
    };
    match LoopDevice::read_only(image) {
        // A damaged image fails in both ways.
        Ok(device) => root_of(&device.path, acl, place, layers)?,
        Err(reason) => Err(without_loop_device(refused, reason)),
    }
}

fn without_loop_device(refused: SystemError, reason: Errno) -> SystemError {
    let said = refused.kernel.map(|text| format!("{text}; ")).unwrap_or_default();
    SystemError { kernel: Some(format!("{said}no loop device is available either: {reason}").into()), ..refused }
}

/// The tree in an image, as a detached mount without the content of its files. Attributes of each file have the path of the content
/// and its seal (`trusted.overlay.redirect`, `trusted.overlay.metacopy`).
///
/// # Errors
/// The error of the kernel for the image; `EPERM` if the caller may not mount.
pub fn tree(image: impl AsFd) -> Result<Detached, SystemError> {
    let image = image.as_fd();
    // The tree is only read.
    let harmless =
        MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let refused = match erofs(&format!("/proc/self/fd/{}", image.as_raw_fd()), false, harmless) {
        Err(refused) if refused.reason != Errno::PERM => refused,
        other => return other,
    };
    match LoopDevice::read_only(image) {
        Ok(device) => erofs(&device.path, false, harmless),
        Err(reason) => Err(without_loop_device(refused, reason)),
    }
}

/// Whether files in the image have access control lists, by its header (composefs, `lcfs-erofs.h`). Only then the kernel must check
/// them.
fn has_acls(image: BorrowedFd<'_>) -> Result<bool, Errno> {
    const MAGIC: u32 = 0xd078_629a;
    const HAS_ACL: u32 = 1;
    let mut header = [0u8; 12];
    let length = rustix::io::pread(image, &mut header, 0)?;
    let [magic, _version, flags] =
        [0, 4, 8].map(|at| header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word)));
    // With an unknown header assume that it has them, because this is safe.
    Ok(length < header.len() || magic != MAGIC || flags & HAS_ACL != 0)
}

/// `source` is the image: a file, or a block device.
fn erofs(source: &str, acl: bool, further: MountAttrFlags) -> Result<Detached, SystemError> {
    let options = [FsOption::Flag("ro"), FsOption::Flag(if acl { "acl" } else { "noacl" })];
    mount::filesystem("erofs", source, &options, MountAttrFlags::MOUNT_ATTR_RDONLY | further)
}

/// The inner error may be retried in another way. The outer one must not: a mount could not be removed.
fn root_of(
    source: &str,
    acl: bool,
    place: &str,
    layers: &Layers<'_>,
) -> Result<Result<Detached, SystemError>, SystemError> {
    let lower = erofs(source, acl, MountAttrFlags::empty())
        .and_then(|lower| mount::attach_at(&lower, CWD, Path::new(place)).context("mount the image at", place));
    if let Err(refused) = lower {
        return Ok(Err(refused));
    }
    let overlay = overlay(place, layers);
    mount::detach(Path::new(place)).context("unmount the image at", place)?;
    Ok(overlay)
}

/// The overlay over the image that is mounted at `image`. An error names the version of Linux that is needed.
fn overlay(image: &str, layers: &Layers<'_>) -> Result<Detached, SystemError> {
    let Layers { objects, upper, verity, read_only } = *layers;
    let mut options = vec![FsOption::Text("metacopy", "on"), FsOption::Text("redirect_dir", "on")];
    if verity {
        options.push(FsOption::Text("verity", "require"));
    }
    if let Some(UpperLayer { upper, work }) = upper {
        options.extend([FsOption::Text("upperdir", upper), FsOption::Text("workdir", work)]);
    }
    let attributes = if read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let with_layers = |layers: &[FsOption<'_>]| {
        mount::filesystem("overlay", "composefs", &[options.as_slice(), layers].concat(), attributes)
    };
    match with_layers(&[FsOption::Text("lowerdir+", image), FsOption::Text("datadir+", objects)]) {
        Err(error) if mount_compat::knows_no_such_option(&error) => {
            let layers = mount_compat::layers_in_one_option(image, objects);
            with_layers(&[FsOption::Text("lowerdir", &layers)]).map_err(|error| mount_compat::too_old(error, verity))
        }
        other => other,
    }
}

/// Whether another overlay can be mounted on top of the one at `root`. A kernel that mounts an image from its file knows all options
/// that are used here.
fn can_be_stacked_on(root: &str) -> bool {
    let [usr, etc] = ["usr", "etc"].map(|name| format!("{root}/{name}"));
    let layers = [FsOption::Text("lowerdir+", &usr), FsOption::Text("lowerdir+", &etc)];
    let trial = mount::filesystem("overlay", "overlay", &layers, MountAttrFlags::MOUNT_ATTR_RDONLY);
    // Only this error means "no". Any other error will be reported when a real overlay is mounted.
    !matches!(trial, Err(error) if error.reason == Errno::INVAL)
}
