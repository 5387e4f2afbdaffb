//! Unified kernel images beside a kernel and an initramfs of their version: such a tree boots both ways.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::unified_kernel::UnifiedKernel;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind, Stat};
use system::{Context, SystemError};

use super::unified::unified_at;

const IMAGE: &str = ".efi";
const ADDON: &str = ".addon.efi";
/// Behind the name of an image: the directory that its stub reads.
const EXTRA: &str = ".extra.d";

/// An image with a kernel and an initramfs in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBeside {
    /// Its path in the deployment.
    pub path: String,
    /// What is in it.
    pub unified: UnifiedKernel,
    /// The names of its addons.
    pub addons: Vec<String>,
}

impl ImageBeside {
    /// The path of one of its addons in the deployment.
    pub fn addon(&self, name: &str) -> String {
        format!("{}{EXTRA}/{name}", self.path)
    }
}

/// The images in `directory` of an open deployment, by their names; each once, however many names it has there.
///
/// # Errors
/// A file cannot be read.
pub fn images_beside(deployment: impl AsFd, directory: &str) -> Result<Vec<ImageBeside>, SystemError> {
    let deployment = deployment.as_fd();
    let (mut images, mut seen) = (Vec::new(), Vec::new());
    for name in sorted(deployment, directory)? {
        let path = format!("{directory}/{name}");
        if !name.ends_with(IMAGE) {
            continue;
        }
        let Some(stat) = file(deployment, &path, OFlags::empty())? else { continue };
        let identity = (stat.device, stat.inode);
        if seen.contains(&identity) {
            continue;
        }
        if let Some(unified) = unified_at(deployment, &path).context("read", &path)? {
            seen.push(identity);
            let addons = addons(deployment, &format!("{path}{EXTRA}"))?;
            images.push(ImageBeside { path, unified, addons });
        }
    }
    Ok(images)
}

/// Plain files alone: what else is there may be credentials and extensions, which no signature covers by their names.
fn addons(deployment: BorrowedFd<'_>, directory: &str) -> Result<Vec<String>, SystemError> {
    let mut addons = Vec::new();
    for name in sorted(deployment, directory)? {
        let has_a_name = name.strip_suffix(ADDON).is_some_and(|stem| !stem.is_empty());
        if has_a_name && file(deployment, &format!("{directory}/{name}"), OFlags::NOFOLLOW)?.is_some() {
            addons.push(name);
        }
    }
    Ok(addons)
}

/// `None`: there is no such file, or it is another kind of thing.
fn file(deployment: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<Option<Stat>, SystemError> {
    match dir::open(deployment, path, OFlags::PATH | flags).and_then(dir::stat_fd) {
        Ok(stat) => Ok((stat.kind == Kind::File).then_some(stat)),
        // A link that leads nowhere.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).context("read the attributes of", path),
    }
}

fn sorted(deployment: BorrowedFd<'_>, directory: &str) -> Result<Vec<String>, SystemError> {
    let names = dir::if_there(dir::names(deployment, directory)).context("list", directory)?;
    let mut names = names.unwrap_or_default();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::tests::image;
    use super::*;

    const DIRECTORY: &str = "usr/lib/modules/6.1";

    #[test]
    fn only_images_with_kernel_and_initramfs_count_each_once() {
        let root = tempfile::tempdir().unwrap();
        let opened = dir::open_root(root.path()).unwrap();
        let of = || images_beside(&opened, DIRECTORY).unwrap();
        assert_eq!(of(), []);
        let modules = root.path().join(DIRECTORY);
        fs::create_dir_all(modules.join("b.efi.extra.d/x.addon.efi")).unwrap();
        fs::create_dir(modules.join("directory.efi")).unwrap();
        fs::write(modules.join("vmlinuz"), image([".linux", ".initrd"])).unwrap();
        fs::write(modules.join("a.efi"), image([".text", ".data"])).unwrap();
        fs::write(modules.join("b.efi"), image([".linux", ".initrd"])).unwrap();
        fs::hard_link(modules.join("b.efi"), modules.join("c.efi")).unwrap();
        // Links lead inside the deployment.
        symlink("/usr/lib/modules/6.1/b.efi", modules.join("d.efi")).unwrap();
        symlink("nowhere", modules.join("e.efi")).unwrap();
        let extra = modules.join("b.efi.extra.d");
        for name in ["2.addon.efi", "1.addon.efi", ".addon.efi", "root.cred", "x.efi"] {
            fs::write(extra.join(name), name).unwrap();
        }
        symlink("1.addon.efi", extra.join("3.addon.efi")).unwrap();
        let found = of();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (only.path.as_str(), only.addons.as_slice()),
            ("usr/lib/modules/6.1/b.efi", &["1.addon.efi".to_owned(), "2.addon.efi".to_owned()][..])
        );
        assert_eq!(only.addon("1.addon.efi"), "usr/lib/modules/6.1/b.efi.extra.d/1.addon.efi");
        fs::write(modules.join("f.efi"), image([".linux", ".initrd"])).unwrap();
        assert_eq!(
            of().iter().map(|image| image.path.rsplit_once('/').unwrap().1).collect::<Vec<_>>(),
            ["b.efi", "f.efi"]
        );
    }
}
