//! What is in `boot/loader.N`: the entries that libostree lists, and the files of others, which are kept. Only reads.

use std::os::fd::OwnedFd;

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_formats::deployment::{Checksum, DeploymentPath, Stateroot};
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, tree};

use crate::deployment::{Deployment, identity};
use crate::error::Error;
use crate::foreign::{Foreign, ForeignEntry, LoaderPath};
use crate::roots::Roots;

/// Entries are a few lines; one of ours that is larger than this is no entry.
const ENTRY_LIMIT: u64 = 1 << 16;
/// How much of another's entry is read to see what it names. The file itself is kept whatever its size.
const FOREIGN_LIMIT: u64 = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct LoaderEntries {
    /// In the order of the directory.
    pub(crate) deployments: Vec<Deployment>,
    /// What others put there.
    pub(crate) foreign: Vec<Foreign>,
    /// Whether an entry leads nowhere, although its stateroot is on this disk: what it is about may be there all the same.
    pub(crate) is_incomplete: bool,
    /// What was passed over.
    pub(crate) warnings: Vec<String>,
}

/// Reads `loader.N` and its `entries`.
pub(crate) fn read(roots: &Roots, bootversion: BootVersion) -> Result<LoaderEntries, Error> {
    let directory = format!("loader.{bootversion}");
    let mut reader = Reader { roots, found: LoaderEntries::default() };
    reader.read_loader(&directory)?;
    reader.read_entries(&format!("{directory}/entries"))?;
    Ok(reader.found)
}

/// What is in a directory.
type Names = Vec<(Vec<u8>, Kind)>;

struct Reader<'a> {
    roots: &'a Roots,
    found: LoaderEntries,
}

/// What an entry of libostree's leads to.
enum Lead {
    Deployment(DeploymentPath),
    /// The boot link, or the deployment, is not there.
    Nothing,
    /// Another system's: its stateroot is not on this disk.
    Elsewhere,
}

impl Reader<'_> {
    fn open(&self, directory: &str) -> Result<(OwnedFd, Names), Error> {
        let shown = format!("/boot/{directory}");
        let opened =
            dir::open(&self.roots.boot, directory, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
        let names = tree::entries(&opened).context("list", &shown)?;
        Ok((opened, names))
    }

    /// Everything but `entries` is another's.
    fn read_loader(&mut self, directory: &str) -> Result<(), Error> {
        let (_, names) = self.open(directory)?;
        let names = names.into_iter().filter(|(name, _)| name != b"entries");
        self.found.foreign.extend(names.map(|(name, kind)| Foreign {
            path: LoaderPath::beside(name),
            kind,
            entry: None,
        }));
        Ok(())
    }

    fn read_entries(&mut self, directory: &str) -> Result<(), Error> {
        let (opened, names) = self.open(directory)?;
        for (name, kind) in names {
            let path = LoaderPath::entry(name.clone());
            let is_entry = kind == Kind::File && name.ends_with(b".conf");
            let ours = std::str::from_utf8(&name).ok().filter(|_| is_entry).and_then(name_of_ours);
            if let Some((name, entry_name)) = ours
                && self.ours(&opened, &path, name, entry_name)?
            {
                continue;
            }
            let entry = if is_entry { Some(self.foreign(&opened, &path, &name)?) } else { None };
            self.found.foreign.push(Foreign { path, kind, entry });
        }
        Ok(())
    }

    /// Reads an entry that has one of libostree's names; whether it is one.
    fn ours(&mut self, entries: &OwnedFd, path: &LoaderPath, name: &str, entry_name: EntryName) -> Result<bool, Error> {
        let content = dir::read_no_link(entries, name, ENTRY_LIMIT).context("read", path)?;
        let entry = BlsEntry::parse(&content).map_err(|reason| Error::Entry { path: path.to_string(), reason })?;
        let kargs = KernelArguments::parse(&entry.all_options());
        let Some(link) = kargs.get("ostree").and_then(|link| link.parse::<Bootlink>().ok()) else {
            // Another system's, or the administrator's own.
            return Ok(false);
        };
        let deployment = match self.follow(&link)? {
            Lead::Deployment(deployment) => deployment,
            Lead::Elsewhere => return Ok(false),
            Lead::Nothing => {
                self.found.warnings.push(format!("{path} is dropped: its boot link /{link} leads to no deployment"));
                self.found.is_incomplete = true;
                return Ok(true);
            }
        };
        let overlay_initrds = entry.values("initrd").filter_map(overlay_initrd).collect();
        let deployment = Deployment::read(self.roots, deployment, link.bootcsum, &mut self.found.warnings)?;
        let entry_name = Some(entry_name);
        self.found.deployments.push(Deployment { entry, entry_name, kargs, overlay_initrds, ..deployment });
        Ok(true)
    }

    /// Reads what an entry of another names, as far as that matters to us.
    fn foreign(&mut self, entries: &OwnedFd, path: &LoaderPath, name: &[u8]) -> Result<ForeignEntry, Error> {
        use std::os::unix::ffi::OsStrExt;
        let content = match dir::read_no_link(entries, std::ffi::OsStr::from_bytes(name), FOREIGN_LIMIT) {
            // A file that went, or was replaced by something else, since the directory was listed: what is there is kept.
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::INVAL) => return Ok(ForeignEntry::default()),
            Err(Errno::FBIG) => return Ok(ForeignEntry::unread()),
            // `--plan` without root says what it can.
            Err(Errno::ACCESS) if !rustix::process::geteuid().is_root() => return Ok(ForeignEntry::unread()),
            other => other.context("read", path)?,
        };
        let mut entry = ForeignEntry::of(content);
        if let Some(link) = entry.bootlink() {
            match self.follow(&link)? {
                Lead::Deployment(deployment) => entry.leads_to = Some((link, deployment)),
                Lead::Nothing => {
                    self.found
                        .warnings
                        .push(format!("{path} does not boot: its boot link /{link} leads to no deployment"));
                }
                Lead::Elsewhere => {}
            }
        }
        Ok(entry)
    }

    /// The deployment that a boot link leads to.
    fn follow(&self, link: &Bootlink) -> Result<Lead, Error> {
        let parent = format!("ostree/boot.{}/{}/{}", link.bootversion, link.stateroot, link.bootcsum);
        let target = dir::open_directory(&self.roots.sysroot, &parent)
            .and_then(|parent| dir::read_link(parent, &link.bootserial.to_string()));
        let target = match target {
            Ok(target) => target,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => return self.nothing_of(&link.stateroot),
            Err(error) => return Err(error).context("read the boot link", format_args!("/{link}"))?,
        };
        let path =
            target.strip_prefix("../../../").and_then(|rest| format!("ostree/{rest}").parse::<DeploymentPath>().ok());
        match path {
            Some(path) if identity(self.roots, &path)?.is_some() => Ok(Lead::Deployment(path)),
            _ => self.nothing_of(&link.stateroot),
        }
    }

    fn nothing_of(&self, stateroot: &Stateroot) -> Result<Lead, Error> {
        let path = format!("ostree/deploy/{stateroot}");
        match dir::open_directory(&self.roots.sysroot, &path) {
            Ok(_) => Ok(Lead::Nothing),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Lead::Elsewhere),
            Err(error) => Err(error).context("open", format_args!("/{path}"))?,
        }
    }
}

/// libostree takes every `ostree-….conf` for one of its own, whatever is in between: what it lists must not be taken for another's.
fn name_of_ours(name: &str) -> Option<(&str, EntryName)> {
    let ours = name.starts_with("ostree-") && name.ends_with(".conf");
    ours.then(|| (name, name.parse().unwrap_or(EntryName { number: 0, stateroot: None, tries: None })))
}

/// The checksum of an overlay, by its path in an entry.
fn overlay_initrd(path: &str) -> Option<Checksum> {
    path.rsplit_once("/ostree/initramfs-overlays/")?.1.strip_suffix(".img")?.parse().ok()
}
