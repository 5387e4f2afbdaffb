//! What of an initramfs decides about a boot: the program that prepares the root, and its configuration.

use std::collections::{BTreeMap, BTreeSet};

use ostree_formats::prepare_root_conf::{self, ConfigFile, DropIn, Layer, Parsed, drop_in_order};

use super::cpio::{Member, Visitor};

/// Far more than any configuration.
const LARGEST_FILE: usize = 1 << 20;
/// Larger than any build of the program.
const LARGEST_PROGRAM: usize = 16 << 20;
/// More names without content than the files that decide have in any initramfs.
const MOST_WAITING: usize = 64;
/// An initramfs has some thousand names.
const MOST_NAMES: usize = 1 << 20;
const PROGRAM: &str = "ostree-prepare-root";
/// In firstroot's programs, before the version.
const MARK: &[u8] = b"ostree-prepare-root (firstroot) ";
const MAIN: [&str; 2] = ["etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf"];
const DROP_INS: [(Layer, &str); 2] =
    [(Layer::Usr, "usr/lib/ostree/prepare-root.conf.d/"), (Layer::Etc, "etc/ostree/prepare-root.conf.d/")];
/// The target of a link that switches a file off.
const MASK: &str = "/dev/null";

/// A file or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    File(Vec<u8>),
    Link(String),
}

/// The program that prepares the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrepareRoot {
    /// Its path.
    pub(crate) path: String,
    /// The version of firstroot; `None`: it is libostree's.
    pub(crate) firstroot: Option<String>,
    /// It can be executed.
    pub(crate) is_executable: bool,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    names: BTreeSet<String>,
    kept: BTreeMap<String, Kept>,
    programs: BTreeMap<String, PrepareRoot>,
    /// Names that decide, and whose content comes with a later name of the same file.
    waiting: Vec<Member>,
}

impl Contents {
    /// The program that prepares the root, if there is one.
    pub(crate) fn prepare_root(&self) -> Option<&PrepareRoot> {
        self.programs.values().find(|program| program.is_executable).or_else(|| self.programs.values().next())
    }

    /// Whether a path exists, with or without `/usr` for `/lib`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.names.contains(&normal(path.as_bytes()))
    }

    /// The configuration, as `ostree-prepare-root` reads it.
    ///
    /// # Errors
    /// A file of it is a link whose target is not kept.
    pub(crate) fn configuration(&self) -> Result<Parsed, String> {
        let file = |path: String| -> Result<Option<ConfigFile>, String> {
            let bytes = match self.kept.get(&path) {
                None => return Ok(None),
                Some(Kept::File(bytes)) => bytes.clone(),
                Some(Kept::Link(target)) if target == MASK => Vec::new(),
                Some(Kept::Link(target)) => match self.kept.get(&target_of(&path, target)) {
                    Some(Kept::File(bytes)) => bytes.clone(),
                    _ => return Err(format!("/{path} in it is a link to {target}, which was not followed")),
                },
            };
            Ok(Some(ConfigFile { path: format!("/{path}"), bytes }))
        };
        let [etc, usr] = MAIN.map(str::to_owned);
        let main = match file(etc)? {
            Some(main) => Some(main),
            None => file(usr)?,
        };
        let found = DROP_INS.iter().flat_map(|(layer, directory)| {
            let below = self.kept.keys().filter_map(move |path| path.strip_prefix(directory));
            below.filter(|name| !name.contains('/')).map(|name| (*layer, name.to_owned()))
        });
        let directory = |layer| if layer == Layer::Usr { DROP_INS[0].1 } else { DROP_INS[1].1 };
        let drop_ins = drop_in_order(found).into_iter();
        let drop_ins = drop_ins.map(|DropIn { layer, name }| file(format!("{}{name}", directory(layer))));
        let drop_ins: Vec<ConfigFile> = drop_ins.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        Ok(prepare_root_conf::parse(main.as_ref(), &drop_ins))
    }
}

impl Contents {
    /// Whether a name waits for the content of this file.
    fn is_awaited(&self, file: &Member) -> bool {
        file.size > 0 && file.file.is_some() && self.waiting.iter().any(|waiting| waiting.file == file.file)
    }

    /// A name with its content.
    fn keep(&mut self, file: &Member, content: Vec<u8>) {
        let path = normal(&file.name);
        if is_configuration(&path) {
            if file.is_file() {
                self.kept.insert(path, Kept::File(content));
            } else if file.is_link() {
                self.kept.insert(path, Kept::Link(String::from_utf8_lossy(&content).into_owned()));
            }
        } else if is_program(&path) && (file.is_file() || file.is_link()) {
            let firstroot = version(&content);
            let is_executable = file.is_link() || (file.mode & 0o111 != 0 && file.size > 0);
            self.programs.insert(path.clone(), PrepareRoot { path: format!("/{path}"), firstroot, is_executable });
        }
    }
}

/// How much of a file with this path is wanted.
fn wanted(path: &str, file: &Member) -> usize {
    if is_configuration(path) {
        LARGEST_FILE
    } else if is_program(path) && file.is_file() {
        LARGEST_PROGRAM
    } else if file.is_link() && is_program(path) {
        LARGEST_FILE
    } else {
        0
    }
}

impl Visitor for Contents {
    fn begin(&mut self, file: &Member) -> usize {
        if self.is_awaited(file) { LARGEST_PROGRAM } else { wanted(&normal(&file.name), file) }
    }

    fn end(&mut self, file: &Member, content: Vec<u8>) {
        let path = normal(&file.name);
        if self.is_awaited(file) {
            let (named, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|one| one.file == file.file);
            self.waiting = rest;
            let named: Vec<Member> = named;
            for one in named {
                let most = wanted(&normal(&one.name), &one).min(content.len());
                self.keep(&Member { size: file.size, ..one }, content.get(..most).unwrap_or_default().to_vec());
            }
        } else if file.size == 0
            && file.is_file()
            && file.file.is_some()
            && wanted(&path, file) > 0
            && self.waiting.len() < MOST_WAITING
        {
            self.waiting.push(file.clone());
        }
        self.keep(file, content);
        if self.names.len() < MOST_NAMES {
            self.names.insert(path);
        }
    }

    /// As the kernel does: inodes of two archives have nothing in common.
    fn trailer(&mut self) {
        self.waiting.clear();
    }
}

fn is_program(path: &str) -> bool {
    path.rsplit('/').next() == Some(PROGRAM)
}

fn is_configuration(path: &str) -> bool {
    MAIN.contains(&path) || DROP_INS.iter().any(|(_, directory)| path.starts_with(directory))
}

/// Without `./` or `/` before it, and below `usr` where the root only has a link there.
fn normal(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name = name.trim_start_matches("./").trim_start_matches('/');
    let is_merged = ["lib/", "lib64/", "bin/", "sbin/"].iter().any(|directory| name.starts_with(directory));
    if is_merged { format!("usr/{name}") } else { name.to_owned() }
}

fn target_of(path: &str, target: &str) -> String {
    match target.strip_prefix('/') {
        Some(absolute) => normal(absolute.as_bytes()),
        None => ostree_formats::bootlink::by_text(path, target),
    }
}

/// The version in one of firstroot's programs.
pub(crate) fn version(program: &[u8]) -> Option<String> {
    let at = find(program, MARK)? + MARK.len();
    let rest = program.get(at..)?.split(|byte| *byte == b'\n' || *byte == 0).next()?;
    let version: String = rest.iter().take(32).map(|byte| char::from(*byte)).collect();
    Some(version)
}

/// The first place of `wanted`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = 0;
    while let Some(next) = bytes.get(at..)?.iter().position(|byte| *byte == first) {
        at += next;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}
