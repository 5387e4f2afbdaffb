//! What a path must have if a regex matches it: a test that is cheap, and that most lines fail.

use crate::prefix::{is_escaped, is_meta};

/// A part of a regex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// One certain character, unless a quantifier follows.
    Character(u8),
    /// `|`
    Branch,
    /// A group, a class, a quantifier, or something else of which nothing is certain.
    Other,
    /// An escape that may be longer: what follows is not understood here.
    Unknown,
}

/// The first part of a regex, and what follows it.
fn piece(regex: &[u8]) -> Option<(Piece, &[u8])> {
    Some(match regex {
        [] => return None,
        [b'\\', byte, rest @ ..] if is_escaped(*byte) => (Piece::Character(*byte), rest),
        [b'\\', ..] => (Piece::Unknown, &[]),
        [b'(', rest @ ..] => (Piece::Other, behind_group(rest)),
        [b'[', rest @ ..] => (Piece::Other, behind_class(rest)),
        [b'{', rest @ ..] => (Piece::Other, behind_count(rest)),
        [b'|', rest @ ..] => (Piece::Branch, rest),
        [byte, rest @ ..] if is_meta(*byte) => (Piece::Other, rest),
        [byte, rest @ ..] => (Piece::Character(*byte), rest),
    })
}

/// What follows a group, of which the parenthesis that opens it has been read.
fn behind_group(group: &[u8]) -> &[u8] {
    let mut depth = 1_usize;
    let mut rest = group;
    while let [byte, behind @ ..] = rest {
        rest = match byte {
            b'\\' => behind.get(1..).unwrap_or_default(),
            b'[' => behind_class(behind),
            _ => behind,
        };
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return rest,
            b')' => depth -= 1,
            _ => {}
        }
    }
    rest
}

/// What follows a class, of which the bracket that opens it has been read. A `]` in the first place is one of its characters.
fn behind_class(class: &[u8]) -> &[u8] {
    let class = class.strip_prefix(b"^").unwrap_or(class);
    let mut rest = class.strip_prefix(b"]").unwrap_or(class);
    loop {
        rest = match rest {
            [] => return rest,
            [b']', behind @ ..] => return behind,
            [b'\\', _, behind @ ..] => behind,
            [b'[', b':', behind @ ..] => match behind.windows(2).position(|two| two == b":]") {
                Some(length) => behind.get(length + 2..).unwrap_or_default(),
                None => behind,
            },
            [_, behind @ ..] => behind,
        };
    }
}

/// What follows a count; where the brace begins none, what it has in it is passed over as well.
fn behind_count(count: &[u8]) -> &[u8] {
    match count.iter().position(|byte| *byte == b'}') {
        Some(length) => count.get(length + 1..).unwrap_or_default(),
        None => count,
    }
}

/// Whether `|` separates whole regexes, so that a path need not have what stands in one of them.
pub(crate) fn has_branches(regex: &str) -> bool {
    let mut rest = regex.as_bytes();
    if !rest.contains(&b'|') {
        return false;
    }
    while let Some((piece, behind)) = piece(rest) {
        if matches!(piece, Piece::Branch | Piece::Unknown) {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether a character may be left out because of what follows it.
fn is_optional(behind: &[u8]) -> bool {
    matches!(behind.first(), Some(b'?' | b'*' | b'{'))
}

/// Whether a path has what it must have for this regex, which has no branches: the characters that it begins with, and then, one
/// behind the other, all that stands in it outside of groups and that no quantifier makes optional.
pub(crate) fn may_match(regex: &str, path: &[u8]) -> bool {
    let (mut rest, mut path) = (regex.as_bytes(), path);
    while let Some((Piece::Character(wanted), behind)) = piece(rest)
        && !is_optional(behind)
    {
        match path {
            [byte, below @ ..] if *byte == wanted => path = below,
            _ => return false,
        }
        rest = behind;
    }
    let mut run = Vec::new();
    loop {
        let next = piece(rest);
        rest = next.map(|(_, behind)| behind).unwrap_or_default();
        match next {
            Some((Piece::Character(byte), behind)) if !is_optional(behind) => run.push(byte),
            _ if run.is_empty() => {}
            _ => match path.windows(run.len()).position(|part| part == run) {
                Some(at) => {
                    path = path.get(at + run.len()..).unwrap_or_default();
                    run.clear();
                }
                None => return false,
            },
        }
        if next.is_none() {
            return true;
        }
    }
}
