//! One entry of the boot menu, in the order of a boot: kernel and initramfs, boot link, deployment.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;

use esp_projection::read::images::{self, Images};
use esp_projection::settings::Settings;
use ostree_formats::deployment::{DeploymentPath, hexadecimal};
use ostree_sysroot::boot_links::{LookupError, follow_by_text};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::deployment::{self, Demanded};
use super::image;
use super::initrds::read;
use super::kernel;
use super::model::{CheckedEntry, Finding, answer};
use crate::initramfs::{self, Contents};
use crate::place::{Place, as_root};
use crate::read::digest;
use crate::read::menu::MenuEntry;

/// Judges entries. What several of them share is read once.
pub(super) struct Judge<'a> {
    pub(super) place: &'a Place,
    /// By the names of kernel directories and deployments.
    pub(super) kernels: BTreeMap<String, Vec<Finding>>,
    /// By the paths of all that is loaded.
    pub(super) initramfs: BTreeMap<String, (Demanded, Vec<Finding>)>,
    pub(super) deployments: BTreeMap<String, Vec<Finding>>,
    /// What the ESP has of a tree with a unified kernel image; `None`: there is no projection.
    pub(super) images: Option<Images>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(place: &'a Place) -> Self {
        // What is wrong with the settings is a finding of its own.
        let settings = Settings::read(&place.roots.system).ok().filter(|settings| settings.enabled);
        let images = settings.map(|settings| Images::new(&place.roots, settings.uki));
        let (kernels, initramfs, deployments) = Default::default();
        Self { place, kernels, initramfs, deployments, images }
    }

    /// One entry; its findings are added to `findings`.
    pub(super) fn entry(&mut self, entry: &MenuEntry, findings: &mut Vec<Finding>) -> CheckedEntry {
        let mut own = self.files(entry);
        let deployment = match follow_by_text(self.place.roots.sysroot.as_fd(), &format!("/{}", entry.link)) {
            Ok(found) => Some(found.path),
            Err(error) => {
                own.push(link_finding(entry, &error, self.place));
                None
            }
        };
        if let Some(path) = &deployment {
            own.extend(self.kernel(entry, path));
        }
        let files_are_there = own.is_empty();
        let (demanded, of_initramfs) =
            if files_are_there { self.initramfs(entry) } else { (Demanded::default(), Vec::new()) };
        let prepare_root = demanded.prepare_root.clone();
        own.extend(of_initramfs);
        if let Some(path) = &deployment {
            own.extend(self.deployment(entry, path, demanded));
            own.extend(self.image_of_entry(entry, path));
        }
        own.extend(chosen_by_argument(entry));
        let boots = answer(&own);
        findings.extend(own);
        CheckedEntry {
            entry: entry.path.clone(),
            title: entry.title().to_owned(),
            deployment: deployment.map(|path| format!("/{path}")),
            boots,
            prepare_root,
        }
    }

    /// Whether the files that the boot loader loads are there.
    fn files(&self, entry: &MenuEntry) -> Vec<Finding> {
        let Some(kernel) = entry.kernel() else {
            let cure = format!("rm {}; the next update writes new entries", entry.path);
            return vec![Finding::bad(&entry.path, "the entry names no kernel".to_owned(), cure)];
        };
        let initrds = entry.initrds().map(|path| ("initrd", path));
        let all = std::iter::once(("kernel", kernel)).chain(initrds);
        all.filter_map(|(what, path)| self.file(entry, what, path)).collect()
    }

    fn file(&self, entry: &MenuEntry, what: &str, path: &str) -> Option<Finding> {
        let shown = format!("/boot/{path}");
        let again = format!("boot another entry; ostree admin deploy REF (of {})", entry.link.stateroot);
        match dir::open(&self.place.roots.boot, path, OFlags::PATH).and_then(dir::stat_fd) {
            Ok(stat) if stat.kind != Kind::File => {
                Some(Finding::bad(&shown, format!("the {what} of {} is not a file", entry.path), again))
            }
            Ok(stat) if stat.size == 0 => {
                Some(Finding::bad(&shown, format!("the {what} of {} is empty", entry.path), again))
            }
            Ok(_) => self.overlay(path, &shown),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                Some(Finding::bad(&shown, format!("the {what} of {} does not exist", entry.path), again))
            }
            Err(error) => Some(Finding::unknown(&shown, format!("the {what} cannot be looked up: {error}"), as_root())),
        }
    }

    /// An overlay has the checksum of its content as its name.
    fn overlay(&self, path: &str, shown: &str) -> Option<Finding> {
        let checksum = path.rsplit_once("initramfs-overlays/")?.1.strip_suffix(".img")?;
        match hash(self.place, path) {
            Ok(found) if found == checksum => None,
            Ok(_) => {
                let cure = "ostree admin deploy --overlay-initrd FILE REF".to_owned();
                Some(Finding::bad(shown, "the content of the overlay initrd does not match its name".to_owned(), cure))
            }
            Err(error) => Some(Finding::unknown(shown, format!("it cannot be read: {error}"), as_root())),
        }
    }

    fn kernel(&mut self, entry: &MenuEntry, path: &DeploymentPath) -> Vec<Finding> {
        let key = format!("{} {path} {:?}", entry.link.bootcsum, entry.kernel());
        if let Some(known) = self.kernels.get(&key) {
            return known.clone();
        }
        let found = kernel::findings(self.place, entry, path);
        self.kernels.insert(key, found.clone());
        found
    }

    /// What is in the initramfs.
    fn initramfs(&mut self, entry: &MenuEntry) -> (Demanded, Vec<Finding>) {
        let paths: Vec<&str> = entry.initrds().collect();
        let kernel = if paths.is_empty() { entry.kernel().unwrap_or_default() } else { "" };
        let key = format!("{paths:?} {kernel} {}", entry.kargs.get("init").unwrap_or_default());
        if let Some(known) = self.initramfs.get(&key) {
            return known.clone();
        }
        let found = if paths.is_empty() { self.of_kernel(entry) } else { self.unpacked(entry, &paths) };
        self.initramfs.insert(key, found.clone());
        found
    }

    fn unpacked(&self, entry: &MenuEntry, paths: &[&str]) -> (Demanded, Vec<Finding>) {
        let mut contents = Contents::default();
        for path in paths {
            let shown = format!("/boot/{path}");
            let read = self.open(path, &shown).and_then(|file| read(file, &mut contents, &shown));
            if let Err(finding) = read {
                return (Demanded::default(), vec![finding]);
            }
        }
        deployment::demanded(&contents, &entry.path)
    }

    /// Of an entry without an initramfs of its own: the kernel may have one in it.
    fn of_kernel(&self, entry: &MenuEntry) -> (Demanded, Vec<Finding>) {
        let Some(path) = entry.kernel() else { return deployment::without_initramfs(entry) };
        let shown = format!("/boot/{path}");
        let unreadable = |error| Finding::unknown(&shown, format!("it cannot be read: {error}"), as_root());
        let mut contents = Contents::default();
        let found = self.open(path, &shown).and_then(|file| match initramfs::of_kernel(file).map_err(unreadable)? {
            Some(image) => read(image, &mut contents, &shown).map(|()| true),
            None => Ok(false),
        });
        match found {
            Ok(true) => deployment::demanded(&contents, &entry.path),
            Ok(false) => deployment::without_initramfs(entry),
            Err(finding) => (Demanded::default(), vec![finding]),
        }
    }

    fn open(&self, path: &str, shown: &str) -> Result<File, Finding> {
        dir::open(&self.place.roots.boot, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .map(File::from)
            .map_err(|error| Finding::unknown(shown, format!("it cannot be read: {error}"), as_root()))
    }

    /// What the ESP has in place of the entry's kernel and initramfs, if that is an image.
    fn image_of_entry(&mut self, entry: &MenuEntry, path: &DeploymentPath) -> Vec<Finding> {
        let directory = entry.kernel().and_then(images::beside).filter(|_| entry.initrds().next().is_some());
        let Some(directory) = directory else { return Vec::new() };
        let (demanded, mut found) = self.image(path, &directory);
        found.extend(demanded.into_iter().flat_map(|demanded| self.deployment(entry, path, demanded)));
        found
    }

    /// What the initramfs demands that is in the image which the ESP has of a deployment.
    pub(super) fn image(&mut self, path: &DeploymentPath, directory: &str) -> (Option<Demanded>, Vec<Finding>) {
        let place = self.place;
        self.images.as_mut().map_or((None, Vec::new()), |images| image::findings(place, images, path, directory))
    }

    /// Whether the deployment would become the root.
    fn deployment(&mut self, entry: &MenuEntry, path: &DeploymentPath, demanded: Demanded) -> Vec<Finding> {
        let argument = entry.kargs.get("ostree.prepare-root.composefs").map(str::to_owned);
        let key = format!("{path} {argument:?} {demanded:?}");
        if let Some(known) = self.deployments.get(&key) {
            return known.clone();
        }
        let found = deployment::findings(self.place, path, &demanded, argument.as_deref(), entry.kargs.get("init"));
        self.deployments.insert(key, found.clone());
        found
    }
}

/// With `firstroot.deployment=` another deployment may boot than the one that was judged.
fn chosen_by_argument(entry: &MenuEntry) -> Option<Finding> {
    let chosen = entry.kargs.get("firstroot.deployment")?;
    let text = format!(
        "firstroot.deployment={chosen} chooses the deployment at the boot: it is not known whether that one boots"
    );
    let cure = format!("take firstroot.deployment= out of {}, if the boot link counts again", entry.path);
    Some(Finding::unknown(&entry.path, text, cure))
}

/// SHA-256 of a file in `/boot`.
fn hash(place: &Place, path: &str) -> Result<String, Errno> {
    let opened = dir::open(&place.roots.boot, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    digest::sha256(&opened).map(|bytes| hexadecimal(&bytes))
}

fn link_finding(entry: &MenuEntry, error: &LookupError, place: &Place) -> Finding {
    let text = error.to_string();
    let link = &entry.path;
    match error {
        LookupError::Other { .. } => Finding::unknown(link, text, as_root()),
        _ if place.runs => Finding::bad(link, text, "firstroot repair bootlinks".to_owned()),
        _ => Finding::bad(link, text, format!("firstroot repair bootlinks --root {}", place.root.display())),
    }
}
