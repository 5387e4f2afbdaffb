//! A composefs image as a root: an EROFS that has names, modes and small files, under an overlay that takes the content of the
//! others from a directory of objects (Documentation/filesystems/{erofs,overlayfs}.rst).
//!
//! Needs data-only layers of overlayfs (Linux 6.5), and for objects that are checked when read `verity=require` (6.6). What older
//! kernels need instead is tried, here and nowhere else; whether something is there is learnt by trying, never from a version.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::loop_device::LoopDevice;
use crate::mount::{self, Detached, FsOption};
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
/// # Errors
/// What the kernel said of the image, or of the overlay.
pub fn root(image: impl AsFd, path: Option<&str>, place: &str, layers: &Layers<'_>) -> Result<Detached, SystemError> {
    let image = image.as_fd();
    let file = path.map_or_else(|| format!("/proc/self/fd/{}", image.as_raw_fd()), str::to_owned);
    // Where that is not possible, or of no use, the other way tells what is wrong: a damaged image fails in both.
    if let Ok(root) = root_of(&file, place, layers) {
        let at = Path::new(place);
        mount::attach_at(&root, CWD, at).context("mount the root at", place)?;
        if can_be_stacked_on(at) {
            // Attached as it is: whoever mounts it elsewhere moves it.
            return Ok(root);
        }
        mount::detach(at).context("unmount the root at", place)?;
    }
    let device = LoopDevice::read_only(image).context("attach to a loop device", "the image")?;
    root_of(&device.path, place, layers)
}

/// `source` is the image: a file where the kernel can mount one (6.12 and later), or a block device.
fn root_of(source: &str, place: &str, layers: &Layers<'_>) -> Result<Detached, SystemError> {
    let options = [FsOption::Flag("ro"), FsOption::Flag("noacl")];
    let lower = mount::filesystem("erofs", source, &options, MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    mount::attach_at(&lower, CWD, Path::new(place)).context("mount the image at", place)?;
    let overlay = overlay(place, layers);
    mount::detach(Path::new(place)).context("unmount the image at", place)?;
    overlay
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
        Err(error) if error.reason == Errno::INVAL => {
            // Before 6.7 both are one option, in which colons separate.
            let escaped = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
            let layers = format!("{}::{}", escaped(image), escaped(objects));
            with_layers(&[FsOption::Text("lowerdir", &layers)]).map_err(|_| too_old(error, verity))
        }
        other => other,
    }
}

/// Whether another overlay can be mounted on top of the one at `root`: some kernels count an image that is a file as a layer of its
/// own, and then there is room for no more.
fn can_be_stacked_on(root: &Path) -> bool {
    let layers = [root.join("usr"), root.join("etc")].map(|path| path.display().to_string()).join(":");
    let trial = mount::filesystem(
        "overlay",
        "overlay",
        &[FsOption::Text("lowerdir", &layers)],
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    );
    // Only that error is about it: any other one is told when a real one is mounted.
    !matches!(trial, Err(error) if error.reason == Errno::INVAL)
}

/// The kernel says no more than that it knows no such option.
fn too_old(error: SystemError, verity: bool) -> SystemError {
    let needed = if verity { "verity=require needs Linux 6.6" } else { "data-only layers need Linux 6.5" };
    let said = error.kernel.map(|text| format!("; {text}")).unwrap_or_default();
    SystemError { kernel: Some(format!("{needed}, with CONFIG_OVERLAY_FS{said}")), ..error }
}
