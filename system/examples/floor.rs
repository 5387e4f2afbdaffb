//! A program that makes the mounts of a boot, by the same calls as `ostree-prepare-root`, and does nothing else: it reads no
//! file, decides nothing and leaves no record. Its arguments are the deployment and what to mount.
#![no_main]

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use system::dir::{open, open_directory, open_root};
use system::image::{self, Layers};
use system::mount::{self, Access, Detached};

system::entry_point!(run);

fn run(arguments: Vec<OsString>) -> u8 {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let Some(deployment) = arguments.first() else { return 2 };
    let wanted =
        Wanted { boot: has("--boot"), read_only: has("--read-only"), image: has("--image"), verity: has("--verity") };
    u8::from(mounts(Path::new(deployment), wanted).is_err())
}

/// What differs between boots.
#[derive(Clone, Copy)]
struct Wanted {
    boot: bool,
    read_only: bool,
    image: bool,
    verity: bool,
}

/// Where the peer mounts the image meanwhile: the mount table shows it.
const LOWER: &str = "/run/ostree/.private/cfsroot-lower";

fn image_root(deployment: &OwnedFd, verity: bool) -> Result<Detached, Errno> {
    for directory in ["/run/ostree", "/run/ostree/.private", LOWER] {
        rustix::fs::mkdir(directory, Mode::RWXU)?;
    }
    let image = open(deployment, ".ostree.cfs", OFlags::RDONLY | OFlags::NOFOLLOW)?;
    let layers = Layers { objects: "/sysroot/ostree/repo/objects", upper: None, verity, read_only: true };
    image::root(image, None, LOWER, &layers).map_err(|error| error.reason)
}

fn mounts(path: &Path, wanted: Wanted) -> Result<(), Errno> {
    let Wanted { boot, read_only, image, verity } = wanted;
    let physical = open_root(Path::new("/sysroot"))?;
    let deployment = open_directory(&physical, path)?;
    mount::make_all_private()?;
    let root = if image { image_root(&deployment, verity)? } else { mount::clone(&deployment)? };
    // Any directory will do until it moves to its place: here no new one is needed.
    mount::attach_at(&root, CWD, "/run")?;
    if boot {
        mount::attach_at(mount::clone_at(&physical, "boot")?, &root, "boot")?;
    }
    if read_only {
        let etc = mount::clone_at(&deployment, "etc")?;
        mount::attach_at(&etc, &root, "etc")?;
    }
    if !image {
        let usr = mount::clone_at(&deployment, "usr")?;
        mount::set_access(&usr, Access::ReadOnly)?;
        mount::attach_at(&usr, &root, "usr")?;
    }
    let sysroot = mount::clone(&physical)?;
    if read_only {
        mount::set_access(&sysroot, Access::ReadOnly)?;
    }
    mount::attach_at(&sysroot, &root, "sysroot")?;
    if read_only {
        let var = open_directory(&sysroot, path.join("../../var"))?;
        let writable = mount::clone(&var)?;
        mount::set_access(&writable, Access::Writable)?;
        mount::attach(&writable, &var)?;
    }
    mount::detach(Path::new("/sysroot"))?;
    mount::attach_at(&root, CWD, "/sysroot")
}
