//! SELinux labels of paths.

use file_contexts::{FileContexts, FileKind, Texts};

use super::is_printable;

/// Longer paths are no different, and each byte costs a step of every regex.
const LONGEST_PATH: usize = 255;
/// A label that no input has.
const LABEL: &str = "fuzz_u:fuzz_r:fuzz_t:s0";

/// A path and the files of a policy, apart by NUL bytes: a label stands in the files, separators in the path do not count, and a line
/// that names the path wins.
pub(super) fn file_contexts(bytes: &[u8]) {
    let mut parts = bytes.splitn(6, |byte| *byte == 0);
    let path = parts.next().unwrap_or_default();
    let path = path.get(..LONGEST_PATH).unwrap_or(path);
    let contexts = parts.next().unwrap_or_default();
    let texts =
        Texts { contexts, homedirs: parts.next(), local: parts.next(), subs: parts.next(), subs_dist: parts.next() };
    let found = match FileContexts::parse(texts) {
        Ok(found) => found,
        Err(error) => {
            is_printable(&error, bytes);
            return;
        }
    };
    // All kinds take part: the last byte of the path says which.
    let kind = path.last().and_then(|byte| kind(*byte));
    let label = found.label(path, kind);
    if let Some(label) = label {
        let stands_in = |text: &[u8]| text.windows(label.len()).any(|part| part == label.as_bytes());
        assert!([Some(contexts), texts.homedirs, texts.local].into_iter().flatten().any(stands_in), "{label:?}");
    }
    if !path.is_empty() {
        let with_separator = [b"/", path, b"/"].concat();
        let path = if path.starts_with(b"/") { &with_separator[..] } else { path };
        assert_eq!(found.label(path, kind), label);
    }
    // Of a lookup that was given up nothing is certain, but that it is told.
    found.broken().iter().for_each(|complaint| is_printable(complaint, bytes));
    a_line_that_names_the_path_wins(path, texts, kind);
}

fn a_line_that_names_the_path_wins(path: &[u8], texts: Texts<'_>, kind: Option<FileKind>) {
    let is_clean = path == b"/" || !path.ends_with(b"/");
    let is_clean = is_clean && !path.windows(2).any(|two| two == b"//") && !path.is_empty();
    if !is_clean || !path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\') || path.starts_with(b"#") {
        return;
    }
    let escape = |byte: &u8| if b".^$?*+|[({])}".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] };
    let line: Vec<u8> = path.iter().flat_map(escape).collect();
    let local = [texts.local.unwrap_or_default(), b"\n", &line, b" ", LABEL.as_bytes()].concat();
    let named = FileContexts::parse(Texts { local: Some(&local), subs: None, subs_dist: None, ..texts });
    let label = named.as_ref().map(|named| named.label(path, kind));
    assert_eq!(label, Ok(Some(LABEL)));
}

fn kind(byte: u8) -> Option<FileKind> {
    match byte % 8 {
        1 => Some(FileKind::Directory),
        2 => Some(FileKind::Link),
        3 => Some(FileKind::CharacterDevice),
        4 => Some(FileKind::BlockDevice),
        5 => Some(FileKind::Fifo),
        6 => Some(FileKind::Socket),
        7 => Some(FileKind::File),
        _ => None,
    }
}
