//! A composefs image as a root: an EROFS that has names, modes and small files, under an overlay that takes the content of the
//! others from a directory of objects (Documentation/filesystems/{erofs,overlayfs}.rst).
//!
//! Needs data-only layers of overlayfs (Linux 6.5), and for objects that are checked when read `verity=require` (6.6). Whether something is there is learnt by trying, never from a version.

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

/// What a root is made of besides the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers<'a> {
    /// Path of the directory of objects, at most 255 bytes long.
    pub objects: &'a str,
    /// What can be written to; without it the root is read-only.
    pub upper: Option<UpperLayer<'a>>,
    /// Objects without a seal, or with another one than the image says, cannot be read.
    pub verity: bool,
    /// The mount itself is read-only, whatever the layers are.
    pub read_only: bool,
}

/// The root of an image. The kernel takes layers by path: the image is mounted at the directory `place` meanwhile. Nothing is
/// left there, but when this process is killed. `path` is the image's where there is no `/proc` by which to find the open file.
///
/// The kernel mounts the file itself where it can (6.12 and later), else a loop device stands in; also where the file would count as
/// a layer of its own, so that no other overlay could be mounted on top.
///
/// # Errors
/// What the kernel said of the image, or of the overlay.
pub fn root(image: impl AsFd, path: Option<&str>, place: &str, layers: &Layers<'_>) -> Result<Detached, SystemError> {
    let image = image.as_fd();
    let file = path.map_or_else(|| format!("/proc/self/fd/{}", image.as_raw_fd()), str::to_owned);
    let acl = has_acls(image).context("read", "the image")?;
    let refused = match root_of(&file, acl, place, layers)? {
        Ok(root) => {
            let at = Path::new(place);
            mount::attach_at(&root, CWD, at).context("mount the root at", place)?;
            // Attached as it is: whoever mounts it elsewhere moves it.
            if can_be_stacked_on(place) {
                return Ok(root);
            }
            let device = match LoopDevice::read_only(image) {
                Ok(device) => device,
                Err(reason) => {
                    log::warn!(
                        "no overlay can be mounted on this root: there is no loop device to mount the image by: {reason}"
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
    SystemError { kernel: Some(format!("{said}and no loop device: {reason}").into()), ..refused }
}

/// The tree that an image is, without the content of its files and mounted nowhere: where that is, and how it is sealed, is in
/// attributes of each file (`trusted.overlay.redirect`, `trusted.overlay.metacopy`).
///
/// # Errors
/// What the kernel said of the image; `EPERM` for whoever may mount nothing.
pub fn tree(image: impl AsFd) -> Result<Detached, SystemError> {
    let image = image.as_fd();
    // Only to be looked at.
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

/// Whether files in the image have access control lists: its header says so (composefs, `lcfs-erofs.h`). Without them the kernel
/// need not look, and with them it must.
fn has_acls(image: BorrowedFd<'_>) -> Result<bool, Errno> {
    const MAGIC: u32 = 0xd078_629a;
    const HAS_ACL: u32 = 1;
    let mut header = [0u8; 12];
    let length = rustix::io::pread(image, &mut header, 0)?;
    let [magic, _version, flags] =
        [0, 4, 8].map(|at| header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word)));
    // One that says nothing is taken for one that has them: that is the safe side.
    Ok(length < header.len() || magic != MAGIC || flags & HAS_ACL != 0)
}

/// `source` is the image: a file, or a block device.
fn erofs(source: &str, acl: bool, further: MountAttrFlags) -> Result<Detached, SystemError> {
    let options = [FsOption::Flag("ro"), FsOption::Flag(if acl { "acl" } else { "noacl" })];
    mount::filesystem("erofs", source, &options, MountAttrFlags::MOUNT_ATTR_RDONLY | further)
}

/// What was refused can be tried in another way. Not so with a mount that stays, which is the error around it.
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

/// The overlay over the image that is mounted at `image`; says which kernels can do it where this one cannot.
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
    // Only that error is about it, and the kernel says no more: any other one is told when a real one is mounted.
    !matches!(trial, Err(error) if error.reason == Errno::INVAL)
}
