//! Where things are put together, in an initramfs.

/// Where the new root is put together in an initramfs: a directory that has to exist anyway, on a filesystem that is
/// writable. Nobody can look into it (mode 0000).
pub(crate) const STAGING: &str = "/run/ostree/.private";

/// Where the image is mounted while the kernel takes it as a layer, and where libostree does that as well.
pub(crate) const LOWER: &str = "/run/ostree/.private/cfsroot-lower";

/// What is written to a transient root. Nobody can look into the directory above, so the modes are those that are seen in `/`.
pub(super) const TRANSIENT_ROOT: &str = "/run/ostree/.private/root";

/// Stands for the random name of the directory that `etc.transient` makes.
pub(crate) const TRANSIENT_ETC: &str = "/run/ostree/transient-etc.XXXXXX";
