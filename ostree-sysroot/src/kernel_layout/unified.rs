//! Kernels with an initramfs in them.

use std::os::fd::AsFd;

use ostree_formats::unified_kernel::{HEAD, UnifiedKernel};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{dir, tree};

use super::layout::KernelLayout;

/// The kernel of the open deployment, if it is an image with an initramfs in it.
///
/// # Errors
/// It cannot be read.
pub fn unified(deployment: impl AsFd, layout: &KernelLayout) -> Result<Option<UnifiedKernel>, Errno> {
    unified_at(deployment, &layout.path())
}

/// The same for a file.
///
/// # Errors
/// It cannot be read.
pub fn unified_at(root: impl AsFd, path: &str) -> Result<Option<UnifiedKernel>, Errno> {
    let file = dir::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let mut head = vec![0; HEAD];
    let count = tree::fill(&file, &mut head)?;
    Ok(head.get(..count).and_then(UnifiedKernel::parse))
}
