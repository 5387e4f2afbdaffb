//! What a regex begins with, before the first thing in it that is not one certain character.
//!
//! It decides whether the line is no regex at all (a literal), and below which directories it can match (its stem).

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many directories are a stem at most. With more of them the groups that are looked at get no smaller.
const DEPTH: usize = 3;

pub(crate) fn is_meta(byte: u8) -> bool {
    matches!(byte, b'.' | b'^' | b'$' | b'?' | b'*' | b'+' | b'|' | b'[' | b'(' | b'{' | b']' | b')' | b'}')
}

/// Whether a backslash before it makes a character of it that libselinux reads as a literal one.
pub(crate) fn is_escaped(byte: u8) -> bool {
    is_meta(byte) || matches!(byte, b'-' | b'_' | b',')
}

/// One certain character at the beginning of a regex, and what follows.
fn character(regex: &[u8]) -> Option<(u8, &[u8])> {
    match regex {
        [b'\\', byte, rest @ ..] if is_escaped(*byte) => Some((*byte, rest)),
        [b'\\', ..] => None,
        [byte, rest @ ..] if !is_meta(*byte) => Some((*byte, rest)),
        _ => None,
    }
}

/// The path that a line names, if it is no regex.
pub(crate) fn literal(regex: &str) -> Option<Cow<'_, [u8]>> {
    certain(regex.as_bytes())
}

/// The characters of a regex that has nothing else.
fn certain(regex: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !regex.iter().any(|byte| is_meta(*byte) || *byte == b'\\') {
        return Some(Cow::Borrowed(regex));
    }
    let mut characters = Vec::with_capacity(regex.len());
    let mut rest = regex;
    while !rest.is_empty() {
        let (byte, behind) = character(rest)?;
        characters.push(byte);
        rest = behind;
    }
    Some(Cow::Owned(characters))
}

/// The hash of the directories that a regex begins with. As for libselinux they count even where what follows allows less
/// (`/var/?x` never matches `/varx`).
pub(crate) fn stem(regex: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut rest = regex.as_bytes();
    let mut depth = 0;
    while depth < DEPTH {
        // Whatever stands before the first name is skipped.
        let Some(below) = rest.get(1..) else { break };
        let Some(length) = below.iter().position(|byte| *byte == b'/') else { break };
        let (name, behind) = below.split_at(length);
        let Some(name) = certain(name) else { break };
        if !name.is_empty() {
            name.hash(&mut hasher);
            depth += 1;
        }
        rest = behind;
    }
    hasher.finish()
}

/// The hashes of all stems below which a path is, that of none included.
pub(crate) fn stems_of_path(path: &[u8]) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let mut stems = vec![hasher.finish()];
    let mut names = path.strip_prefix(b"/").unwrap_or_default().split(|byte| *byte == b'/').collect::<Vec<_>>();
    // The last one is what is labelled.
    names.pop();
    for name in names.iter().take(DEPTH) {
        name.hash(&mut hasher);
        stems.push(hasher.finish());
    }
    stems
}
