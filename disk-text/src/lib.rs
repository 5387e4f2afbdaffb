//! The state of a system as text, and as directories, for tests. Nothing of it needs root.
//!
//! ```text
//! like NAME                  first all lines of that case
//! PATH/                      a directory
//! PATH = TEXT                a file; \n is a new line
//! PATH -> TARGET             a symbolic link
//! fifo PATH
//! mode PATH OCTAL
//! commit CHECKSUM VERSION    a commit object
//! cpio PATH NAME=TEXT|NAME=TEXT                        an initramfs
//! seal CHECKSUM PATH PATH    this checksum stands for that of the content of these files, everywhere
//! rm PATH                    with all that is in it
//! booted PATH                the deployment that runs
//! target|bootcsum|merge|kargs|overlay|extra VALUE      what is staged; - is none; | stands between kernel arguments
//! separate-boot | used | option NAME
//! # a comment
//! ```
//!
//! `{1a}` is the checksum that repeats these digits, `{{text}}` is `{text}`.

// It is for tests, which may fail at any line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use ostree_formats::booted_state::BootedState;
use ostree_formats::staged_state::{StagedState, StagedTarget};
use ostree_sysroot::Roots;
use ostree_sysroot::boot_contents::Beside;
use rustix::fs::{CWD, FileType, Mode};
use sha2::{Digest, Sha256};
use system::dir;

/// The lines of a case, with those that it is like.
#[derive(Debug)]
pub struct Disk {
    lines: Vec<String>,
    /// Whether there is a line `used`.
    pub used: bool,
    /// The values of the lines `option`, with commas between them.
    pub options: String,
    /// The checksums of the lines `seal`, with what they stand for.
    sealed: Vec<(String, String)>,
}

impl Disk {
    /// Reads the case `name` in `directory`.
    pub fn read(directory: &Path, name: &str) -> Self {
        let lines = Self::lines(directory, name);
        let options: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("option ")).collect();
        let options = options.join(",");
        Self { used: lines.iter().any(|line| line == "used"), options, lines, sealed: Vec::new() }.with_seals()
    }

    /// The lines, with those of the case that it is like.
    fn lines(directory: &Path, name: &str) -> Vec<String> {
        let path = directory.join(name).join("disk");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix("like ") {
                Some(other) => lines.extend(Self::lines(directory, other)),
                None => lines.push(expanded(line)),
            }
        }
        lines
    }

    fn values<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// The last one counts.
    fn value<'a>(&'a self, word: &'a str) -> Option<&'a str> {
        self.values(word).last().filter(|value| *value != "-")
    }

    /// Replaces each sealed checksum by the one that it stands for.
    fn with_seals(mut self) -> Self {
        let seals: Vec<String> = self.values("seal").map(str::to_owned).collect();
        for seal in seals {
            let (stands_for, paths) = seal.split_once(' ').unwrap();
            let mut hash = Sha256::new();
            for path in paths.split(' ') {
                let text = |line: &String| {
                    line.strip_prefix(path)?.strip_prefix(" = ").map(|text| text.replace("\\n", "\n").into_bytes())
                };
                let archive =
                    |line: &String| line.strip_prefix("cpio ")?.strip_prefix(path)?.strip_prefix(' ').map(archive);
                let content = self.lines.iter().rev().find_map(|line| text(line).or_else(|| archive(line)));
                hash.update(content.unwrap_or_else(|| panic!("seal: there is no {path}")));
            }
            let sum = ostree_formats::deployment::hexadecimal(&hash.finalize());
            let lines = self.lines.iter_mut().filter(|line| !line.starts_with("seal "));
            lines.for_each(|line| *line = line.replace(stands_for, &sum));
            self.sealed.push((stands_for.to_owned(), sum));
        }
        self
    }

    /// A text with the checksums of the case, short.
    pub fn shortened(&self, text: &str) -> String {
        let unsealed =
            self.sealed.iter().fold(text.to_owned(), |text, (stands_for, sum)| text.replace(sum, stands_for));
        shortened(&unsealed)
    }

    /// Whether something is staged.
    pub fn has_staged(&self) -> bool {
        self.value("target").is_some()
    }

    /// What is staged.
    pub fn staged(&self) -> StagedState {
        let extra = self.values("extra").map(|line| line.split_once(' ').unwrap());
        StagedState {
            target: StagedTarget {
                deployment: self.value("target").unwrap().parse().unwrap(),
                bootcsum: self.value("bootcsum").unwrap().parse().unwrap(),
            },
            merge_deployment: self.value("merge").map(|path| path.parse().unwrap()),
            kargs: self.value("kargs").map(|words| words.split('|').map(str::to_owned).collect()),
            overlay_initrds: self.values("overlay").map(|checksum| checksum.parse().unwrap()).collect(),
            bootconfig_extra: extra.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>(),
            locked: false,
        }
    }

    /// Makes it.
    pub fn make(&self) -> tempfile::TempDir {
        // In memory where that is possible: there are many cases.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        for line in &self.lines {
            make(root.path(), line);
        }
        if let Some(booted) = self.value("booted") {
            let stat = fs::metadata(root.path().join("sysroot").join(booted)).unwrap();
            let state = BootedState {
                device: stat.dev(),
                inode: stat.ino(),
                root_transient: false,
                root_transient_ro: false,
                composefs: None,
                sysroot_ro: false,
                transient_etc: None,
            };
            fs::write(root.path().join("run/ostree-booted"), state.to_bytes()).unwrap();
        }
        root
    }

    /// Its directories, opened.
    pub fn roots(&self, root: &Path) -> Roots {
        // On one filesystem in the test, on two in what it is a picture of.
        let boot_is_separate = self.lines.iter().any(|line| line == "separate-boot");
        Roots { boot_is_separate, ..Roots::at(root).unwrap() }
    }

    /// What finalization finds in `/run/ostree`.
    pub fn beside(&self, root: &Path) -> Beside {
        let overlays = root.join("run/ostree/staged-initrds");
        Beside { overlays: dir::open_root(&overlays).ok(), ..Beside::default() }
    }
}

/// Words that are no paths.
const SETTINGS: [&str; 11] =
    ["booted", "target", "bootcsum", "merge", "kargs", "overlay", "extra", "option", "used", "separate-boot", "seal"];

fn make(root: &Path, line: &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    if SETTINGS.contains(&word) {
        return;
    }
    let place = |path: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    match word {
        "rm" => {
            let path = root.join(rest);
            let is_directory = path.symlink_metadata().unwrap_or_else(|_| panic!("{line}: is not there")).is_dir();
            if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        "fifo" => rustix::fs::mknodat(CWD, place(rest), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap(),
        "mode" => {
            let (path, mode) = rest.split_once(' ').unwrap();
            let mode = fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap());
            fs::set_permissions(root.join(path), mode).unwrap();
        }
        "cpio" => {
            let (path, files) = rest.split_once(' ').unwrap_or((rest, ""));
            fs::write(place(path), archive(files)).unwrap();
        }
        "commit" => {
            let (checksum, version) = rest.split_once(' ').unwrap();
            let (directory, name) = checksum.split_at(2);
            fs::write(place(&format!("sysroot/ostree/repo/objects/{directory}/{name}.commit")), commit(version))
                .unwrap();
        }
        _ => make_name(line, &place),
    }
}

fn make_name(line: &str, place: &dyn Fn(&str) -> std::path::PathBuf) {
    if let Some((path, text)) = line.split_once(" = ") {
        fs::write(place(path), text.replace("\\n", "\n")).unwrap();
    } else if let Some((path, target)) = line.split_once(" -> ") {
        let path = place(path);
        // As `ln -sf`.
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    } else {
        let path = line.strip_suffix('/').unwrap_or_else(|| panic!("what is {line:?}?"));
        fs::create_dir_all(place(path)).unwrap();
    }
}

/// The bytes of a commit that has nothing but a version: GVariant `(a{sv}aya(say)sstayay)`.
fn commit(version: &str) -> Vec<u8> {
    let mut bytes = [b"version\0", version.as_bytes(), b"\0\0s"].concat();
    // Where the key ends, and where the only entry does.
    bytes.push(8);
    bytes.push(u8::try_from(bytes.len()).unwrap());
    let metadata = u8::try_from(bytes.len()).unwrap();
    // No parent, nothing related, an empty subject and body.
    bytes.extend_from_slice(b"\0\0");
    bytes.resize(bytes.len().next_multiple_of(8) + 8 + 32, 0);
    let root = u8::try_from(bytes.len()).unwrap();
    bytes.resize(bytes.len() + 32, 0);
    bytes.extend([root, metadata + 2, metadata + 1, metadata, metadata, metadata]);
    bytes
}

/// An archive as the kernel unpacks it.
fn archive(files: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let named =
        files.split('|').filter_map(|file| file.split_once('=')).map(|(name, text)| (name, text.replace("\\n", "\n")));
    for (name, text) in named.chain([("TRAILER!!!", String::new())]) {
        let fields = [0, 0o100_755, 0, 0, 1, 0, text.len(), 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        for part in [format!("{name}\0").as_bytes(), text.as_bytes()] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// `{1a}` becomes a checksum.
fn expanded(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once('{') {
        let (digits, after) = after.split_once('}').unwrap();
        out.push_str(before);
        match digits.strip_prefix('{') {
            // `{{text}}` is `{text}`.
            Some(text) => {
                out.push_str(&format!("{{{text}}}"));
                rest = after.strip_prefix('}').unwrap();
            }
            None => {
                out.push_str(&digits.repeat(64 / digits.len()));
                rest = after;
            }
        }
    }
    out + rest
}

/// Checksums become `{1a}` again.
pub fn shortened(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(|character: char| character.is_ascii_hexdigit()) {
        let run = rest[at..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let found = &rest[at..at + run];
        out.push_str(&rest[..at]);
        let repeats = |digits: &&str| run == 64 && digits.repeat(64 / digits.len()) == found;
        match [1, 2].map(|length| &found[..length.min(run)]).into_iter().find(repeats) {
            Some(digits) => out.push_str(&format!("{{{digits}}}")),
            None => out.push_str(found),
        }
        rest = &rest[at + run..];
    }
    out + rest
}
