//! Where the new root is built, in an initramfs.

/// Where the new root is built in an initramfs: a directory that must exist anyway, on a writable filesystem. Its mode 0000 keeps
/// other users out.
pub(crate) const STAGING: &str = "/run/ostree/.private";

/// Where the image is mounted while the kernel takes it as a layer. libostree uses the same path.
pub(crate) const LOWER: &str = "/run/ostree/.private/cfsroot-lower";

/// The upper layer of a transient root. The directory above keeps other users out, so this one has the modes of `/`.
pub(super) const TRANSIENT_ROOT: &str = "/run/ostree/.private/root";

/// Stands for the random name of the directory that `etc.transient` makes.
pub(crate) const TRANSIENT_ETC: &str = "/run/ostree/transient-etc.XXXXXX";
