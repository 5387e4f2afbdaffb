//! Paths that are asked for.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, Result};
use file_contexts::FileKind;
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use qemu_tests::guest::Guest;

/// Of each regex.
const PATHS_OF_A_REGEX: usize = 3;
/// Characters of a path that is made at random. Of longer ones a version of PCRE that has no compiler for this processor gives some up.
const LONGEST_RANDOM: usize = 100;

/// A path and what it is. The kind is a letter of `find -printf %y`, or `?`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    letter: char,
    pub(crate) path: Vec<u8>,
}

impl Question {
    fn new(letter: char, path: &[u8]) -> Question {
        // libselinux reads no further than a NUL byte.
        let path = path.iter().map(|byte| if *byte == 0 { b'0' } else { *byte }).collect();
        Question { letter, path }
    }

    /// As the library knows it.
    pub(crate) fn kind(&self) -> Option<FileKind> {
        Some(match self.letter {
            'f' => FileKind::File,
            'd' => FileKind::Directory,
            'l' => FileKind::Link,
            'c' => FileKind::CharacterDevice,
            'b' => FileKind::BlockDevice,
            'p' => FileKind::Fifo,
            's' => FileKind::Socket,
            _ => return None,
        })
    }

    /// Whether the library of `guest` has one answer, that of today's. `named_twice`: the paths that several lines name.
    pub(crate) fn is_certain(&self, guest: Guest, named_twice: &BTreeSet<Vec<u8>>) -> bool {
        let mut path = self.path.clone();
        path.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
        let is_named_twice = named_twice.contains(path.strip_suffix(b"/").unwrap_or(&path));
        // Of lines for several kinds any counts where no kind is asked for.
        let is_ambiguous = is_named_twice && self.letter == '?';
        match guest {
            // Until 3.8 lines without a regex were compiled, too, and matched a path with a line feed behind it.
            Guest::Bookworm => !self.path.ends_with(b"\n"),
            // In 3.8 any of several lines counts; since 3.9 one of the later file does.
            Guest::Trixie | Guest::TrixieInitramfsTools => !self.path.ends_with(b"\n") && !is_named_twice,
            Guest::Forky | Guest::ForkySelinux => !is_ambiguous,
        }
    }

    /// As the program that asks libselinux reads it.
    pub(crate) fn record(&self) -> Vec<u8> {
        [self.letter.to_string().as_bytes(), &self.path, b"\0"].concat()
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", String::from_utf8_lossy(&self.path), self.letter)
    }
}

/// Everything in the tree below `root`, as what it is there and as any kind.
pub(crate) fn of_tree(root: &Path, questions: &mut BTreeSet<Question>) -> Result<()> {
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("listing {}", directory.display()))? {
            let path = entry.with_context(|| format!("listing {}", directory.display()))?.path();
            let kind = path.symlink_metadata().with_context(|| format!("looking at {}", path.display()))?.file_type();
            let inside = Path::new("/").join(path.strip_prefix(root)?);
            let letter = match kind {
                _ if kind.is_dir() => 'd',
                _ if kind.is_symlink() => 'l',
                _ if kind.is_char_device() => 'c',
                _ if kind.is_block_device() => 'b',
                _ if kind.is_fifo() => 'p',
                _ if kind.is_socket() => 's',
                _ => 'f',
            };
            for letter in [letter, '?'] {
                questions.insert(Question::new(letter, inside.as_os_str().as_bytes()));
            }
            if kind.is_dir() {
                directories.push(path);
            }
        }
    }
    Ok(())
}

/// Paths that the lines of `text` match, and near ones. Each line is for some kind, so that all kinds take turns.
pub(crate) fn of_lines(text: &str, questions: &mut BTreeSet<Question>) {
    let mut runner = TestRunner::deterministic();
    for regex in text.lines().filter_map(|line| line.split_whitespace().next()) {
        let mut paths = vec![regex.replace('\\', ""), shortest(regex)];
        if let Ok(strategy) = string_regex(regex) {
            let made = (0..PATHS_OF_A_REGEX).filter_map(|_| strategy.new_tree(&mut runner).ok());
            paths.extend(made.map(|tree| tree.current().chars().take(LONGEST_RANDOM).collect::<String>()));
        }
        for (path, letter) in paths.iter().zip("f?dlcbps".chars().cycle()) {
            for letter in ['?', letter] {
                questions.insert(Question::new(letter, path.as_bytes()));
            }
            for near in [format!("{path}/"), format!("{path}\n"), format!("{path}/x.so"), format!("/{path}x")] {
                questions.insert(Question::new(letter, near.as_bytes()));
            }
            // One of another depth, and in another directory.
            let names: Vec<&str> = path.split('/').collect();
            if let [start @ .., directory, name] = &names[..] {
                questions.insert(Question::new(letter, [&start.join("/"), "/", name].concat().as_bytes()));
                questions.insert(Question::new(letter, format!("{}/{name}/{directory}", start.join("/")).as_bytes()));
            }
        }
    }
}

/// The paths that more than one line of `texts` names, also by way of the substitutions in `subs`.
pub(crate) fn named_twice(texts: &[&str], subs: &str) -> BTreeSet<Vec<u8>> {
    let mut once = BTreeSet::new();
    let regexes = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_whitespace().next());
    let mut twice: BTreeSet<String> =
        regexes.map(|regex| regex.replace('\\', "")).filter(|path| !once.insert(path.clone())).collect();
    for (old, new) in subs.lines().filter_map(|line| line.split_once(' ')) {
        let substituted = twice.iter().filter_map(|path| Some(format!("{old}{}", path.strip_prefix(new)?)));
        twice.extend(substituted.collect::<Vec<_>>());
    }
    twice.into_iter().map(String::into_bytes).collect()
}

/// As long as a path can be, so that each regex costs as much as it can.
pub(crate) fn long(questions: &mut BTreeSet<Question>) {
    for (start, name) in [("/usr/lib/", "lib/"), ("/var/lib/", "a/"), ("/home/user/", "x.so"), ("/", "b")] {
        let path: Vec<u8> = start.bytes().chain(name.bytes().cycle()).take(4095).collect();
        questions.insert(Question::new('f', &path));
    }
}

/// The regex without what is optional in it, roughly.
fn shortest(regex: &str) -> String {
    regex.replace("(/.*)?", "").replace("(.*/)?", "").replace("(64)?", "").replace(".*", "").replace('\\', "")
}
