//! The content of `boot/loader.N`: the entries that libostree lists, and the files of others, which are kept. Only reads.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::{BootVersion, Bootlink};
use ostree_formats::deployment::{Checksum, DeploymentPath, Stateroot};
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, tree};

use crate::boot_links::{self, LookupError};
use crate::deployment::Deployment;
use crate::error::SysrootError;
use crate::foreign_file::{ForeignEntry, ForeignFile, LoaderPath};
use crate::roots::Roots;

/// Entries are a few lines; a larger file with one of libostree's names is not an entry.
const ENTRY_LIMIT: u64 = 1 << 16;
/// A larger entry of another program is read in pieces. The file is kept, whatever its size.
const FOREIGN_LIMIT: u64 = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct LoaderEntries {
    /// In the order of the directory.
    pub deployments: Vec<Deployment>,
    /// Files that libostree did not write.
    pub foreign: Vec<ForeignFile>,
    /// An entry leads to no known deployment, although its stateroot is on this disk. What it boots may exist nevertheless.
    pub is_incomplete: bool,
    /// What was skipped.
    pub warnings: Vec<String>,
}

/// Reads `loader.N` and its `entries`.
pub fn read(roots: &Roots, bootversion: BootVersion) -> Result<LoaderEntries, SysrootError> {
    let directory = format!("loader.{bootversion}");
    let mut reader = Reader { roots, found: LoaderEntries::default() };
    reader.read_loader(&directory)?;
    reader.read_entries(&format!("{directory}/entries"))?;
    Ok(reader.found)
}

struct Reader<'a> {
    roots: &'a Roots,
    found: LoaderEntries,
}

/// Whether an entry is one of the list.
enum Ours {
    Yes,
    /// It has one of libostree's names, but not libostree's content.
    No,
    /// It has libostree's content, but leads to no deployment: it is kept under a name that libostree does not read.
    LeadsNowhere,
}

/// What a boot link leads to.
enum Lead {
    Deployment(DeploymentPath),
    /// The boot link, or the deployment, does not exist.
    Nothing,
    /// The entry is another system's: its stateroot is not on this disk.
    Elsewhere,
}

impl Reader<'_> {
    fn names(&self, directory: &str) -> Result<Vec<(Vec<u8>, Kind)>, SysrootError> {
        let shown = format!("/boot/{directory}");
        let opened =
            dir::open(&self.roots.boot, directory, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
        Ok(tree::entries(&opened).context("list", &shown)?)
    }

    /// Reads `loader.N`: everything but `entries` belongs to others.
    fn read_loader(&mut self, directory: &str) -> Result<(), SysrootError> {
        let names = self.names(directory)?.into_iter().filter(|(name, _)| name != b"entries");
        self.found.foreign.extend(names.map(|(name, kind)| ForeignFile {
            path: LoaderPath::beside(name),
            kind,
            entry: None,
        }));
        Ok(())
    }

    fn read_entries(&mut self, directory: &str) -> Result<(), SysrootError> {
        for (name, kind) in self.names(directory)? {
            let mut path = LoaderPath::entry(name.clone());
            // Boot loaders and libostree follow links.
            let is_entry = matches!(kind, Kind::File | Kind::Link) && name.ends_with(b".conf");
            let ours = std::str::from_utf8(&name).ok().filter(|_| is_entry).and_then(name_of_ours);
            if let Some((name, entry_name)) = ours {
                match self.ours(directory, &path, name, entry_name)? {
                    Ours::Yes => continue,
                    Ours::LeadsNowhere => path = path.no_name_of_ours(),
                    Ours::No => {}
                }
            }
            let entry = if is_entry { Some(self.foreign(directory, &path, &name)?) } else { None };
            self.found.foreign.push(ForeignFile { path, kind, entry });
        }
        Ok(())
    }

    /// Reads an entry with one of libostree's names, and returns whether it belongs to the list.
    fn ours(
        &mut self,
        entries: &str,
        path: &LoaderPath,
        name: &str,
        entry_name: EntryName,
    ) -> Result<Ours, SysrootError> {
        let content = match dir::read(&self.roots.boot, format!("{entries}/{name}"), ENTRY_LIMIT) {
            // A dangling link.
            Err(Errno::NOENT) => return Ok(Ours::No),
            Err(Errno::FBIG) => {
                self.found.warnings.push(format!(
                    "{path} is too large for an entry: it is kept, and no kernel is removed from /boot, because the entry may name one"
                ));
                self.found.is_incomplete = true;
                return Ok(Ours::No);
            }
            other => other.context("read", path)?,
        };
        let entry =
            BlsEntry::parse(&content).map_err(|reason| SysrootError::Entry { path: path.to_string(), reason })?;
        let kargs = KernelArguments::parse(&entry.all_options());
        let Some(link) = kargs.get("ostree").and_then(|link| link.parse::<Bootlink>().ok()) else {
            // Another system's, or the administrator's own.
            return Ok(Ours::No);
        };
        let deployment = match self.follow(&link)? {
            Lead::Deployment(deployment) => deployment,
            Lead::Elsewhere => return Ok(Ours::No),
            Lead::Nothing => {
                // It may belong to another system with a stateroot of the same name. libostree cannot load a sysroot with such an
                // entry.
                self.found.warnings.push(format!(
                    "{path} leads to no deployment: the boot link /{link}, or its deployment, does not exist. When new entries are \
                     written, it is renamed to {}, which libostree does not read. If no other system needs it: rm {path}",
                    path.renamed()
                ));
                self.found.is_incomplete = true;
                return Ok(Ours::LeadsNowhere);
            }
        };
        let overlay_initrds = entry.values("initrd").filter_map(overlay_initrd).collect();
        let deployment = Deployment::read(self.roots, deployment, link.bootcsum, &mut self.found.warnings)?;
        let entry_name = Some(entry_name);
        self.found.deployments.push(Deployment { entry, entry_name, kargs, overlay_initrds, ..deployment });
        Ok(Ours::Yes)
    }

    /// Reads an entry of another program: its boot link and the names that it uses.
    fn foreign(&mut self, entries: &str, path: &LoaderPath, name: &[u8]) -> Result<ForeignEntry, SysrootError> {
        use std::os::unix::ffi::OsStrExt;
        let file = Path::new(entries).join(std::ffi::OsStr::from_bytes(name));
        let content = match dir::read(&self.roots.boot, &file, FOREIGN_LIMIT) {
            // A dangling link, or an entry that was removed since the directory was listed: it uses no names.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(ForeignEntry::default()),
            // It has become another kind of file.
            Err(Errno::LOOP | Errno::ISDIR | Errno::INVAL) => return Ok(ForeignEntry::unread()),
            Err(Errno::FBIG) => return Ok(self.names_in(&file).context("read", path)?),
            // `--plan` without root prints what it can read.
            Err(Errno::ACCESS) if !rustix::process::geteuid().is_root() => return Ok(ForeignEntry::unread()),
            other => other.context("read", path)?,
        };
        let mut entry = ForeignEntry::of(content);
        if let Some(link) = entry.bootlink()
            && let Lead::Deployment(deployment) = self.follow(&link)?
        {
            entry.leads_to = Some((link, deployment));
        }
        entry.forget_text();
        Ok(entry)
    }

    /// The names in a large file, which is read piece by piece.
    fn names_in(&self, file: &Path) -> Result<ForeignEntry, Errno> {
        const PIECE: usize = 64 << 10;
        /// The longest name that may cross the end of a piece.
        const OVERLAP: usize = 512;
        let opened = dir::open(&self.roots.boot, file, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let (mut entry, mut buffer, mut kept) = (ForeignEntry::default(), vec![0; PIECE], 0);
        loop {
            let count = tree::fill(&opened, buffer.get_mut(kept..).unwrap_or_default())?;
            let filled = kept + count;
            entry.add_names_in(buffer.get(..filled).unwrap_or_default());
            if filled < PIECE || entry.is_unread {
                return Ok(entry);
            }
            buffer.copy_within(PIECE - OVERLAP.., 0);
            kept = OVERLAP;
        }
    }

    /// The deployment that a boot link leads to.
    fn follow(&self, link: &Bootlink) -> Result<Lead, SysrootError> {
        let reason = match boot_links::follow_by_text(self.roots.sysroot.as_fd(), &format!("/{link}")) {
            Ok(found) => return Ok(Lead::Deployment(found.path)),
            Err(LookupError::Other { reason, .. }) => reason,
            Err(LookupError::Loop(_)) => Errno::LOOP,
            Err(_) => return self.nothing_of(&link.stateroot),
        };
        Err(reason).context("read the boot link", format_args!("/{link}"))?
    }

    fn nothing_of(&self, stateroot: &Stateroot) -> Result<Lead, SysrootError> {
        let path = format!("ostree/deploy/{stateroot}");
        match dir::open_directory(&self.roots.sysroot, &path) {
            Ok(_) => Ok(Lead::Nothing),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Lead::Elsewhere),
            Err(error) => Err(error).context("open", format_args!("/{path}"))?,
        }
    }
}

/// libostree takes every `ostree-….conf` for one of its own entries, so such a file is not treated as another program's.
fn name_of_ours(name: &str) -> Option<(&str, EntryName)> {
    let ours = name.starts_with("ostree-") && name.ends_with(".conf");
    ours.then(|| (name, name.parse().unwrap_or(EntryName { number: 0, stateroot: None, tries: None })))
}

/// The checksum of an overlay, by its path in an entry.
fn overlay_initrd(path: &str) -> Option<Checksum> {
    path.rsplit_once("/ostree/initramfs-overlays/")?.1.strip_suffix(".img")?.parse().ok()
}
