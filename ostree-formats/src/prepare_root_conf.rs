//! `prepare-root.conf` and its drop-ins.
//!
//! The main file is libostree's (ostree-prepare-root(1)): `/etc/ostree/prepare-root.conf` if it exists, else
//! `/usr/lib/ostree/prepare-root.conf`. The drop-ins (`prepare-root.conf.d/*.conf` beside both, ordered as the UAPI
//! Group's Configuration Files Specification says) are only for firstroot's own keys. libostree reads no drop-ins, and it reads
//! the main file of the tree to decide how to seal an image and how to mount for a soft reboot. A libostree key in a drop-in
//! would change firstroot and not libostree.

mod conf;
mod error;
mod keys;
mod layers;

use crate::keyfile::{Entry, Keyfile, KeyfileError, shorten};

pub use conf::{ComposefsMode, KernelArgumentPolicy, OnFailure, PrepareRootConf};
pub use error::{ConfError, Problem};
pub use layers::{DropIn, Layer, drop_in_order};

use keys::{KNOWN, Known, Owner, Setter};

/// A configuration file that was read: its path as the administrator knows it, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// For messages.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// The result of all files together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// The configuration, as far as it could be read.
    pub conf: PrepareRootConf,
    /// Errors: they stop the boot, and the build of an initramfs.
    pub errors: Vec<ConfError>,
    /// Probable mistakes that do no harm.
    pub warnings: Vec<String>,
}

/// Reads the main file, if there is one, and then the drop-ins, in their order of precedence.
pub fn parse(main: Option<&ConfigFile>, drop_ins: &[ConfigFile]) -> Parsed {
    let mut parsed = Parsed::default();
    if let Some(file) = main {
        parsed.apply(file, FileKind::Main);
    }
    for file in drop_ins {
        parsed.apply(file, FileKind::DropIn);
    }
    if parsed.conf.root_transient && parsed.conf.root_transient_ro {
        let path = main.map(|f| f.path.clone()).unwrap_or_default();
        parsed.errors.push(ConfError { path, problem: Problem::BothTransient });
    }
    parsed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Main,
    DropIn,
}

/// The number of unknown names in a file that get their own warning; the console has no room for more.
const MOST_UNKNOWN: usize = 20;

/// The lines of one file for one key.
struct Given<'f, 't> {
    /// The last line of the file with that key: its value is used, as in GLib.
    counts: &'f Entry<'t>,
    /// The last line before it with another value.
    differs: Option<&'f Entry<'t>>,
}

impl<'f, 't> Given<'f, 't> {
    fn first(entry: &'f Entry<'t>) -> Self {
        Self { counts: entry, differs: None }
    }

    fn then(self, later: &'f Entry<'t>) -> Self {
        let is_the_same = text(self.counts.value).trim_end() == text(later.value).trim_end();
        Self { counts: later, differs: if is_the_same { self.differs } else { Some(self.counts) } }
    }
}

impl Parsed {
    fn apply(&mut self, file: &ConfigFile, kind: FileKind) {
        // Only firstroot and libostree read this file, so all of it must be text.
        let is_text = std::str::from_utf8(&file.bytes).map_err(|_| KeyfileError::NotUtf8 { line: None });
        let keyfile = match is_text.and_then(|_| Keyfile::parse(&file.bytes)) {
            Ok(keyfile) => keyfile,
            Err(error) => return self.error(file, Problem::Syntax(error)),
        };
        let mut unknown = 0;
        let mut given = [const { None::<Given<'_, '_>> }; KNOWN.len()];
        for group in &keyfile.groups {
            let name = text(group.name);
            if !KNOWN.iter().any(|known| known.group == name) {
                unknown += 1;
                if unknown <= MOST_UNKNOWN {
                    let nearest = keys::nearest(name, KNOWN.iter().map(|known| known.group));
                    let what = format!("unknown group [{}]", shorten(name));
                    self.warn(file, format!("line {}: {what}{}", group.line, did_you_mean(nearest)));
                }
                continue;
            }
            for entry in &group.entries {
                let key = text(entry.key);
                let mut slots = KNOWN.iter().zip(&mut given);
                if let Some((_, slot)) = slots.find(|(known, _)| known.is(name, key)) {
                    *slot = Some(slot.take().map_or(Given::first(entry), |given| given.then(entry)));
                    continue;
                }
                unknown += 1;
                if unknown <= MOST_UNKNOWN {
                    let keys = KNOWN.iter().filter(|known| known.group == name).map(|known| known.key);
                    let what = format!("unknown key {:?} in [{}]", shorten(key), name);
                    let nearest = did_you_mean(keys::nearest(key, keys));
                    self.warn(file, format!("line {}: {what}{nearest}", entry.line));
                }
            }
        }
        if unknown > MOST_UNKNOWN {
            self.warn(file, format!("{} more unknown groups and keys", unknown - MOST_UNKNOWN));
        }
        for (known, given) in KNOWN.iter().zip(given) {
            let Some(Given { counts, differs }) = given else { continue };
            if let Some(earlier) = differs {
                let (key, group) = (known.key, known.group);
                let (later, before) = (shorten(text(counts.value)), shorten(text(earlier.value)));
                let both = format!("{later:?} overrides {before:?} of line {}", earlier.line);
                self.warn(file, format!("line {}: [{group}] {key} = {both}", counts.line));
            }
            self.set(file, kind, known, text(counts.value), counts.line);
        }
    }

    fn set(&mut self, file: &ConfigFile, kind: FileKind, known: &Known, value: &str, line: usize) {
        let (group, key) = (known.group, known.key);
        if kind == FileKind::DropIn && known.owner == Owner::Libostree {
            return self.error(file, Problem::LibostreeKeyInDropIn { line, group, key });
        }
        let conf = &mut self.conf;
        let understood = match known.setter {
            Setter::Boolean(set) => crate::keyfile::boolean(value).map(|on| set(conf, on)),
            Setter::YesNo(set) => keys::yes_no(value).map(|on| set(conf, on)),
            Setter::Word(set) => set(conf, value.trim_end()),
        };
        if understood.is_none() {
            self.error(file, Problem::Value { line, group, key, value: shorten(value), expected: known.expected });
        }
    }

    fn error(&mut self, file: &ConfigFile, problem: Problem) {
        self.errors.push(ConfError { path: file.path.clone(), problem });
    }

    fn warn(&mut self, file: &ConfigFile, text: String) {
        self.warnings.push(format!("{}: {text}", file.path));
    }
}

/// A part of a UTF-8 file. It was split at ASCII characters, so it is UTF-8, too.
fn text(part: &[u8]) -> &str {
    std::str::from_utf8(part).unwrap_or_default()
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
