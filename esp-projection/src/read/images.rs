//! Unified kernel images beside the kernel of a deployment: whether one is projected in the kernel's place, and by which name.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_sysroot::kernel_layout::{ImageBeside, images_beside};
use ostree_sysroot::{Roots, deployment};
use rustix::fs::OFlags;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use super::known_sums::KnownSums;
use super::{ReadError, digest, variables};
use crate::list::{CopiedFrom, PayloadFile, Uki};
use crate::target::{EXTRA, IMAGE};

/// Where the directories of kernels are in a tree, by their versions.
pub(super) const MODULES: &str = "usr/lib/modules/";
/// As many digits of an image's checksum are in its name.
const DIGITS: usize = 12;
/// The longest part of a name that is not ours.
const LONGEST_VERSION: usize = 100;
const LONGEST_ADDON: usize = 200;

/// What is known of the images of a system.
#[derive(Debug)]
pub struct Images {
    setting: Option<Uki>,
    /// `None`: not looked up yet.
    is_secure: Option<bool>,
    sums: KnownSums,
}

/// An image that is projected.
#[derive(Debug)]
pub(super) struct Image {
    /// Its name in the directory of the kernel.
    pub(super) name: String,
    /// Where it is on the physical root.
    pub(super) source: String,
    /// The image, and its addons.
    pub(super) files: Vec<PayloadFile>,
}

impl Images {
    /// Those of a system, by `[esp] uki=`.
    pub fn new(roots: &Roots, setting: Option<Uki>) -> Self {
        Self { setting, is_secure: None, sums: KnownSums::read(&roots.system) }
    }

    /// Keeps what was read, for the next run.
    pub fn remember(&self, roots: &Roots) {
        self.sums.write(&roots.system);
    }

    /// The image that a deployment boots in place of the kernel in `directory` of its tree; without its checksum.
    ///
    /// # Errors
    /// There are several, or one cannot be read.
    pub fn chosen(
        &mut self,
        roots: &Roots,
        path: &DeploymentPath,
        directory: &str,
    ) -> Result<Option<ImageBeside>, ReadError> {
        if self.setting == Some(Uki::Ignore) {
            return Ok(None);
        }
        let tree = deployment::open(roots, path)?;
        let mut images = images_beside(&tree, directory).map_err(|error| in_tree(path, error))?;
        if images.is_empty() || self.setting.is_none() && !self.is_secure(roots)? {
            return Ok(None);
        }
        if images.len() > 1 {
            let images = images.iter().map(|image| format!("/{path}/{}", image.path)).collect();
            return Err(ReadError::SeveralImages { images });
        }
        let Some(image) = images.pop() else { return Ok(None) };
        if image.unified.has_command_line && self.is_secure(roots)? {
            log::warn!(
                "/{path}/{}: the image has kernel arguments of its own, and with Secure Boot it ignores those of its entry, without which it \
                 boots no deployment: the ESP gets the kernel and the initramfs beside it",
                image.path
            );
            return Ok(None);
        }
        Ok(Some(image))
    }

    /// The same, as it is projected.
    pub(super) fn of(
        &mut self,
        roots: &Roots,
        path: &DeploymentPath,
        directory: &str,
    ) -> Result<Option<Image>, ReadError> {
        let Some(image) = self.chosen(roots, path, directory)? else { return Ok(None) };
        let tree = deployment::open(roots, path)?;
        let named = self.named(path, &tree, directory, &image);
        Ok(Some(named.map_err(|error| in_tree(path, error))?))
    }

    fn named(
        &mut self,
        path: &DeploymentPath,
        tree: &OwnedFd,
        directory: &str,
        image: &ImageBeside,
    ) -> Result<Image, SystemError> {
        let (size, sum) = self.sum(tree, &image.path)?;
        let mut addons = Vec::new();
        for name in &image.addons {
            if !is_for_fat(name) {
                log::warn!("/{path}/{}: its name is none for an ESP: it is left out", image.addon(name));
                continue;
            }
            addons.push((name, self.sum(tree, &image.addon(name))?));
        }
        let version = directory.rsplit('/').next().unwrap_or_default();
        let name = file_name(version, &sum, addons.iter().map(|(name, (_, sum))| (name.as_str(), sum)))
            .context("name", &image.path)?;
        let file = |name: String, source: &str, size: u64, sum: Checksum| PayloadFile {
            path: name,
            size,
            from: CopiedFrom::Tree { path: format!("{path}/{source}"), sum: Some(sum) },
        };
        let mut files = vec![file(name.clone(), &image.path, size, sum)];
        files.extend(
            addons
                .into_iter()
                .map(|(addon, (size, sum))| file(format!("{name}{EXTRA}/{addon}"), &image.addon(addon), size, sum)),
        );
        Ok(Image { name, source: format!("{path}/{}", image.path), files })
    }

    fn sum(&mut self, tree: &OwnedFd, path: &str) -> Result<(u64, Checksum), SystemError> {
        let mut read = || {
            let file = dir::open(tree, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
            match dir::stat_fd(&file)?.kind {
                Kind::File => self.sums.of(&file),
                _ => Err(rustix::io::Errno::INVAL),
            }
        };
        read().context("read", path)
    }

    fn is_secure(&mut self, roots: &Roots) -> Result<bool, SystemError> {
        if let Some(known) = self.is_secure {
            return Ok(known);
        }
        let is_secure = variables::is_secure_boot(roots.system.as_fd())?;
        self.is_secure = Some(is_secure);
        Ok(is_secure)
    }
}

/// Where the images are that are beside the kernel with this path in `/boot`: libostree calls it `vmlinuz-VERSION` there.
pub fn beside(kernel: &str) -> Option<String> {
    let version = kernel.rsplit('/').next()?.strip_prefix("vmlinuz-")?;
    (!matches!(version, "" | "." | "..")).then(|| format!("{MODULES}{version}"))
}

fn in_tree(path: &DeploymentPath, error: SystemError) -> SystemError {
    SystemError { object: format!("/{path}/{}", error.object).into(), ..error }
}

/// The bootcsum does not cover an image: its name has its checksum, so that it never changes under a name that is there. With addons
/// it is the checksum of all their checksums.
fn file_name<'a>(
    version: &str,
    image: &Checksum,
    addons: impl Iterator<Item = (&'a str, &'a Checksum)>,
) -> Result<String, rustix::io::Errno> {
    let lines: String = addons.map(|(name, sum)| format!("{}  {name}\n", sum.as_str())).collect();
    let sum = if lines.is_empty() { image.clone() } else { digest::of_text(&format!("{}\n{lines}", image.as_str()))? };
    let version = version.chars().take(LONGEST_VERSION).map(|letter| if is_plain(letter) { letter } else { '_' });
    let digits = sum.as_str().get(..DIGITS).unwrap_or_default();
    Ok(format!("{IMAGE}{}-{digits}.efi", version.collect::<String>()))
}

fn is_for_fat(name: &str) -> bool {
    name.len() <= LONGEST_ADDON && name.chars().all(is_plain)
}

/// What a name on FAT, a line of an entry and a path of the firmware can have.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.+~".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_version_and_what_is_in_it() {
        let sum: Checksum = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978".parse().unwrap();
        let of =
            |version: &str, addons: &[&str]| file_name(version, &sum, addons.iter().map(|name| (*name, &sum))).unwrap();
        assert_eq!(of("6.12.0-1.fc42.x86_64", &[]), "uki-6.12.0-1.fc42.x86_64-5e1f1e7a4b0c.efi");
        assert_eq!(of("a:b c\u{e9}", &[]), "uki-a_b_c_-5e1f1e7a4b0c.efi");
        assert_eq!(of(&"x".repeat(300), &[]).len(), 121);
        let with: Vec<String> = [&["a.addon.efi"][..], &["b.addon.efi"], &["a.addon.efi", "b.addon.efi"]]
            .map(|addons| of("6", addons))
            .into();
        assert!(with.iter().all(|name| name.len() == with[0].len() && *name != of("6", &[])), "{with:?}");
        assert!(with[0] != with[1] && with[1] != with[2] && with[0] != with[2], "{with:?}");
        for (name, is_one) in [("a.addon.efi", true), ("a b.addon.efi", false), ("a:b.addon.efi", false)] {
            assert_eq!(is_for_fat(name), is_one, "{name}");
        }
    }
}
