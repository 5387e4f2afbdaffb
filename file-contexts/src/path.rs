//! Paths, as they are looked up.

use std::borrow::Cow;

/// The kernel takes no longer path.
const LONGEST: usize = 4096;

/// Without doubled separators, and without one at the end. `None`: nothing can be there.
pub(crate) fn clean_path(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    if path.is_empty() || path.len() > LONGEST || path.contains(&0) {
        return None;
    }
    let is_clean = !path.windows(2).any(|two| two == b"//") && (path == b"/" || !path.ends_with(b"/"));
    if is_clean {
        return Some(Cow::Borrowed(path));
    }
    let mut clean = path.to_vec();
    clean.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    if clean.len() > 1 && clean.ends_with(b"/") {
        clean.pop();
    }
    Some(Cow::Owned(clean))
}

/// A path that is compared with lines.
#[derive(Debug)]
pub(crate) struct Path<'a> {
    bytes: Cow<'a, [u8]>,
}

impl<'a> Path<'a> {
    pub(crate) fn new(bytes: Cow<'a, [u8]>) -> Path<'a> {
        Path { bytes }
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each byte as the character of that number, because the regexes know bytes and the engine knows only characters.
    pub(crate) fn characters(&self) -> String {
        self.bytes.iter().copied().map(char::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators() {
        for (path, clean) in [
            ("/", "/"),
            ("//", "/"),
            ("///", "/"),
            ("/a/", "/a"),
            ("//a///b//", "/a/b"),
            ("/a/b", "/a/b"),
            ("a", "a"),
            ("a/", "a"),
        ] {
            assert_eq!(clean_path(path.as_bytes()).as_deref(), Some(clean.as_bytes()), "{path}");
        }
        assert_eq!(clean_path(b""), None);
        assert_eq!(clean_path(b"/a\0"), None);
        assert_eq!(clean_path(&[b'/'; 4097]), None);
    }

    #[test]
    fn bytes_become_characters() {
        assert_eq!(Path::new(Cow::Borrowed(b"/\xff\xc3\xa9\n")).characters(), "/\u{ff}\u{c3}\u{a9}\n");
    }
}
