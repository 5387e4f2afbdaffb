//! GLib's key files, by GLib's rules.
//!
//! INI crates read other dialects (quotes, inline comments, nesting). A file that libostree reads with `GKeyFile` must mean the
//! same here. See "Key-value file parser" in GLib's reference.
//!
//! A file is split as bytes. Only the values that are read must be UTF-8.
//!
//! A group may be repeated: GLib merges groups of the same name, and of a repeated key the last value counts. Files that were
//! extended with `>>` depend on this.

/// Why a text is not a key file. `line` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyfileError {
    /// The bytes of a file, or of a value, are not UTF-8.
    #[error("{}not UTF-8 text", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    NotUtf8 {
        /// The line, if only a value was checked.
        line: Option<usize>,
    },
    /// A NUL byte.
    #[error("line {line}: a NUL byte")]
    Nul {
        /// Where.
        line: usize,
    },
    /// Neither group, nor key, nor comment.
    #[error("line {line}: {text:?} is neither a [group], nor a key=value, nor a comment")]
    Syntax {
        /// Where.
        line: usize,
        /// The line, shortened.
        text: String,
    },
    /// `[group]` with an impossible name.
    #[error("line {line}: {name:?} cannot be the name of a group")]
    GroupName {
        /// Where.
        line: usize,
        /// The name.
        name: String,
    },
    /// A key before the first group.
    #[error("line {line}: key {key:?} comes before the first [group]")]
    KeyOutsideGroup {
        /// Where.
        line: usize,
        /// The key.
        key: String,
    },
}

/// One `key=value`, without the white space around both, with its escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value as written, up to the end of the line (as `g_key_file_get_value`).
    pub value: &'a [u8],
    /// Line, from 1.
    pub line: usize,
}

impl<'a> Entry<'a> {
    /// The value as text.
    ///
    /// # Errors
    /// [`KeyfileError::NotUtf8`].
    pub fn text(&self) -> Result<&'a str, KeyfileError> {
        std::str::from_utf8(self.value).map_err(|_| KeyfileError::NotUtf8 { line: Some(self.line) })
    }
}

/// One `[group]` with the entries up to the next, in their order. The same name may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// The name.
    pub name: &'a [u8],
    /// Its line, from 1.
    pub line: usize,
    /// The entries.
    pub entries: Vec<Entry<'a>>,
}

/// A parsed key file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keyfile<'a> {
    /// In the order of the text.
    pub groups: Vec<Group<'a>>,
}

impl<'a> Keyfile<'a> {
    /// Parses bytes as they come from a file.
    ///
    /// # Errors
    /// See [`KeyfileError`]; nothing is skipped silently.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, KeyfileError> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (line, raw) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if raw.contains(&0) {
                return Err(KeyfileError::Nul { line });
            }
            let content = trim_start(raw.strip_suffix(b"\r").unwrap_or(raw));
            if content.is_empty() || content.starts_with(b"#") {
                continue;
            }
            if let Some(name) = group_name(content) {
                let impossible = |byte: &u8| matches!(byte, b'[' | b']') || byte.is_ascii_control();
                if name.is_empty() || name.iter().any(impossible) {
                    return Err(KeyfileError::GroupName { line, name: shorten_bytes(name) });
                }
                groups.push(Group { name, line, entries: Vec::new() });
                continue;
            }
            let syntax = || KeyfileError::Syntax { line, text: shorten_bytes(content) };
            let (key, value) = split_once(content, b'=').ok_or_else(syntax)?;
            let key = trim_end(key);
            if !is_key(key) {
                return Err(syntax());
            }
            let group =
                groups.last_mut().ok_or_else(|| KeyfileError::KeyOutsideGroup { line, key: shorten_bytes(key) })?;
            group.entries.push(Entry { key, value: trim_start(value), line });
        }
        Ok(Self { groups })
    }

    /// The value of a key. Of repeated keys the last one, as in GLib.
    pub fn get(&self, group: &str, key: &str) -> Option<&Entry<'a>> {
        let entries = self.groups.iter().filter(|g| g.name == group.as_bytes()).flat_map(|g| &g.entries);
        entries.rev().find(|e| e.key == key.as_bytes())
    }
}

/// A GKeyFile boolean: `true`, `false`, `1`, `0`, with optional white space after it. Nothing else.
pub fn boolean(value: &str) -> Option<bool> {
    match value.trim_end_matches(|c| u8::try_from(c).is_ok_and(is_space)) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// A list of strings with their escapes undone, as `g_key_file_get_string_list` reads it with its usual separator: a
/// semicolon at the end ends the last string, `\;` is a semicolon in a string. `None`: an unknown escape.
pub fn string_list(value: &str) -> Option<Vec<String>> {
    let (mut list, mut item, mut begun) = (Vec::new(), String::new(), false);
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        begun = character != ';';
        match character {
            ';' => list.push(std::mem::take(&mut item)),
            '\\' => item.push(match characters.next()? {
                's' => ' ',
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                same @ ('\\' | ';') => same,
                _ => return None,
            }),
            other => item.push(other),
        }
    }
    if begun {
        list.push(item);
    }
    Some(list)
}

/// `g_ascii_isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `[NAME]`, white space after it allowed.
fn group_name(content: &[u8]) -> Option<&[u8]> {
    trim_end(content.strip_prefix(b"[")?).strip_suffix(b"]")
}

fn is_key(key: &[u8]) -> bool {
    let name = match split_once(key, b'[') {
        // A locale: Name[de]=…
        Some((name, locale)) if locale.ends_with(b"]") => name,
        Some(_) => return false,
        None => key,
    };
    !name.is_empty() && !name.contains(&b']') && trim_end(name) == name && trim_start(name) == name
}

fn shorten_bytes(text: &[u8]) -> String {
    shorten(&String::from_utf8_lossy(text))
}

/// The beginning of a text, if it is too long for a message.
pub fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests;
