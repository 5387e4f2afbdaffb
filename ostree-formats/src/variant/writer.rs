//! Values as bytes, as GLib's serializer writes them.

use super::offset_size;

/// An array or a structure that is being built.
#[derive(Default)]
pub(crate) struct Container {
    body: Vec<u8>,
    ends: Vec<usize>,
}

impl Container {
    /// Adds a member of fixed size, aligned to it.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.append(bytes.len(), bytes);
        self
    }

    /// Adds a member of variable size.
    pub(crate) fn variable(mut self, alignment: usize, bytes: &[u8]) -> Self {
        self.append(alignment, bytes);
        self.ends.push(self.body.len());
        self
    }

    /// The bytes of an array: all members are of variable size.
    pub(crate) fn array(self) -> Vec<u8> {
        let size = offset_size(self.body.len(), self.ends.len());
        with_offsets(self.body, self.ends.iter(), size)
    }

    /// The bytes of a structure whose last member has variable size and needs no offset.
    pub(crate) fn tuple(mut self) -> Vec<u8> {
        self.ends.pop();
        let size = offset_size(self.body.len(), self.ends.len());
        with_offsets(self.body, self.ends.iter().rev(), size)
    }

    fn append(&mut self, alignment: usize, bytes: &[u8]) {
        self.body.resize(self.body.len().next_multiple_of(alignment), 0);
        self.body.extend_from_slice(bytes);
    }
}

fn with_offsets<'a>(mut bytes: Vec<u8>, ends: impl Iterator<Item = &'a usize>, size: usize) -> Vec<u8> {
    for end in ends {
        bytes.extend(end.to_le_bytes().iter().take(size));
    }
    bytes
}

/// A string (`s`).
pub(crate) fn text_bytes(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A value with its type (`v`).
pub(crate) fn value(kind: &str, bytes: &[u8]) -> Vec<u8> {
    [bytes, b"\0", kind.as_bytes()].concat()
}

/// A dictionary (`a{sv}`) of keys and values that are [`value`]s.
pub(crate) fn dictionary<'a>(entries: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let entries = entries.into_iter().map(|(key, value)| entry(key, 8, &value));
    entries.fold(Container::default(), |array, entry| array.variable(8, &entry)).array()
}

/// An entry of a dictionary whose key is a string.
fn entry(key: &str, alignment: usize, value: &[u8]) -> Vec<u8> {
    Container::default().variable(1, &text_bytes(key)).variable(alignment, value).tuple()
}

/// An array of strings (`as`).
pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    texts.into_iter().fold(Container::default(), |array, text| array.variable(1, &text_bytes(text))).array()
}

/// A dictionary of strings (`a{ss}`).
pub(crate) fn text_pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<u8> {
    let entries = pairs.into_iter().map(|(key, value)| entry(key, 1, &text_bytes(value)));
    entries.fold(Container::default(), |array, entry| array.variable(1, &entry)).array()
}

/// A boolean (`b`).
pub(crate) fn boolean(on: bool) -> [u8; 1] {
    [u8::from(on)]
}

/// Two 64-bit numbers (`(tt)`), in the byte order of the machine.
pub(crate) fn two_numbers(first: u64, second: u64) -> [[u8; 8]; 2] {
    [first.to_ne_bytes(), second.to_ne_bytes()]
}
