//! The entries of the boot menu, one by one: an entry that is damaged does not hide the others.

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootlink;
use ostree_formats::entry_name::EntryName;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::version_order::strverscmp;
use ostree_sysroot::Roots;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

const ENTRIES: &str = "loader/entries";
/// Entries are a few lines.
const LIMIT: u64 = 1 << 16;

/// An entry that boots one of this system's deployments.
#[derive(Debug, Clone)]
pub(crate) struct MenuEntry {
    /// Its path, for messages.
    pub(crate) path: String,
    /// Its text.
    pub(crate) entry: BlsEntry,
    /// Its kernel arguments.
    pub(crate) kargs: KernelArguments,
    /// The boot link that it names.
    pub(crate) link: Bootlink,
    /// How often the boot loader tries it, with boot counting.
    pub(crate) tries_left: Option<u32>,
}

impl MenuEntry {
    /// Its title.
    pub(crate) fn title(&self) -> &str {
        self.entry.get("title").unwrap_or("(no title)")
    }

    /// The paths in `/boot` of its initramfs and all that is loaded with it.
    pub(crate) fn initrds(&self) -> impl Iterator<Item = &str> {
        self.entry.values("initrd").flat_map(str::split_whitespace).map(in_boot)
    }

    /// The path in `/boot` of its kernel.
    pub(crate) fn kernel(&self) -> Option<&str> {
        self.entry.get("linux").map(in_boot)
    }
}

/// A path of an entry, relative to `/boot`. Where `/boot` is no filesystem of its own, entries begin with `/boot`.
fn in_boot(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    path.strip_prefix("boot/").unwrap_or(path)
}

/// What is in the menu.
#[derive(Debug, Default)]
pub(crate) struct Menu {
    /// Entries of this system, the default first.
    pub(crate) entries: Vec<MenuEntry>,
    /// Files with a name of libostree's that are no entries, with the reason.
    pub(crate) damaged: Vec<(String, String)>,
    /// Files that could not be read, with the reason.
    pub(crate) unread: Vec<(String, String)>,
    /// How many entries boot something else.
    pub(crate) foreign: usize,
}

/// Reads the menu.
///
/// # Errors
/// It cannot be listed: `ENOENT` if there is none.
pub(crate) fn read(roots: &Roots) -> Result<Menu, SystemError> {
    let shown = format!("/boot/{ENTRIES}");
    let opened = dir::open(&roots.boot, ENTRIES, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
    let mut menu = Menu::default();
    for (name, kind) in tree::entries(&opened).context("list", &shown)? {
        if !matches!(kind, Kind::File | Kind::Link) || !name.ends_with(b".conf") {
            continue;
        }
        let Ok(name) = String::from_utf8(name) else {
            menu.foreign += 1;
            continue;
        };
        menu.add(roots, &name, format!("{shown}/{name}"));
    }
    menu.entries.sort_by(|one, other| {
        let version = |entry: &MenuEntry| entry.entry.get("version").unwrap_or_default().to_owned();
        strverscmp(&version(other), &version(one))
    });
    Ok(menu)
}

impl Menu {
    fn add(&mut self, roots: &Roots, name: &str, path: String) {
        let is_ours = name.starts_with("ostree-");
        let bytes = match dir::read(&roots.boot, format!("{ENTRIES}/{name}"), LIMIT) {
            Ok(bytes) => bytes,
            // A link to nothing, or removed just now.
            Err(Errno::NOENT) if !is_ours => return,
            Err(error @ (Errno::NOENT | Errno::FBIG | Errno::INVAL | Errno::ISDIR | Errno::LOOP)) if is_ours => {
                return self.damaged.push((path, error.to_string()));
            }
            Err(error) => return self.unread.push((path, error.to_string())),
        };
        let entry = match BlsEntry::parse(&bytes) {
            Ok(entry) => entry,
            Err(error) if is_ours => return self.damaged.push((path, error.to_string())),
            Err(_) => {
                self.foreign += 1;
                return;
            }
        };
        let kargs = KernelArguments::parse(&entry.all_options());
        match kargs.get("ostree").map(str::parse::<Bootlink>) {
            Some(Ok(link)) => {
                let tries_left = name.parse::<EntryName>().ok().and_then(|name| name.tries).map(|tries| tries.left);
                self.entries.push(MenuEntry { path, entry, kargs, link, tries_left });
            }
            _ if is_ours && bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) => {
                self.damaged.push((path, "it is empty".to_owned()));
            }
            _ if is_ours && kargs.get("ostree").is_some() => {
                let wanted = "its argument ostree= is not a boot link (/ostree/boot.N/STATEROOT/BOOTCSUM/SERIAL)";
                self.damaged.push((path, wanted.to_owned()));
            }
            _ if is_ours => self.damaged.push((path, "it has no kernel argument ostree=".to_owned())),
            _ => self.foreign += 1,
        }
    }
}
