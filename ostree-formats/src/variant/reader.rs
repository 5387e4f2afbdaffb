//! Reads values as slices of the input.

use super::{Damaged, offset_size};

/// A container whose framing offsets were found at its end.
#[derive(Clone, Copy)]
struct Framed<'a> {
    bytes: &'a [u8],
    /// Where the offsets begin.
    body_end: usize,
    offset_size: usize,
}

impl<'a> Framed<'a> {
    /// `offsets`: their number. `None`: an array, in which the last offset is the position of the first.
    fn new(bytes: &'a [u8], offsets: Option<usize>) -> Result<Self, Damaged> {
        let size = offset_size(bytes.len(), 0);
        let body_end = match offsets {
            Some(offsets) => offsets.checked_mul(size).and_then(|table| bytes.len().checked_sub(table)),
            None => bytes.len().checked_sub(size).and_then(|at| number(bytes.get(at..)?)),
        };
        let framed = Self { bytes, body_end: body_end.ok_or(Damaged)?, offset_size: size };
        let table = bytes.len().checked_sub(framed.body_end).ok_or(Damaged)?;
        let whole = table % size == 0 && (table > 0 || offsets == Some(0));
        // A serializer uses the smallest size that is enough.
        if whole && offset_size(framed.body_end, table / size) == size { Ok(framed) } else { Err(Damaged) }
    }

    fn offsets(&self) -> usize {
        (self.bytes.len() - self.body_end) / self.offset_size
    }

    /// The offset at `index` of the table.
    fn offset(&self, index: usize) -> Option<usize> {
        let at = index.checked_mul(self.offset_size)?.checked_add(self.body_end)?;
        number(self.bytes.get(at..at.checked_add(self.offset_size)?)?)
    }

    /// The child that begins behind `previous`, at the next multiple of `alignment`, and ends at `end`.
    fn child(&self, previous: usize, alignment: usize, end: usize) -> Result<&'a [u8], Damaged> {
        let start = previous.checked_next_multiple_of(alignment).ok_or(Damaged)?;
        let child = self.bytes.get(start..end).filter(|_| end <= self.body_end).ok_or(Damaged)?;
        let padding = self.bytes.get(previous..start).ok_or(Damaged)?;
        if padding.iter().all(|byte| *byte == 0) { Ok(child) } else { Err(Damaged) }
    }
}

fn number(bytes: &[u8]) -> Option<usize> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}

/// An array of children of variable size (`as`, `aay`, `a{sv}`).
#[derive(Clone, Copy)]
pub(crate) struct Array<'a> {
    framed: Option<Framed<'a>>,
    alignment: usize,
}

impl<'a> Array<'a> {
    /// Checks the ends of all children, not the children themselves.
    pub(crate) fn new(bytes: &'a [u8], alignment: usize) -> Result<Self, Damaged> {
        if bytes.is_empty() {
            return Ok(Self { framed: None, alignment });
        }
        let framed = Framed::new(bytes, None)?;
        let mut previous = 0;
        for index in 0..framed.offsets() {
            let end = framed.offset(index).ok_or(Damaged)?;
            framed.child(previous, alignment, end)?;
            previous = end;
        }
        Ok(Self { framed: Some(framed), alignment })
    }

    pub(crate) fn len(&self) -> usize {
        self.framed.map_or(0, |framed| framed.offsets())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (framed, alignment, mut previous) = (self.framed, self.alignment, 0);
        (0..self.len()).map_while(move |index| {
            let framed = framed?;
            let end = framed.offset(index)?;
            let child = framed.child(previous, alignment, end).ok()?;
            previous = end;
            Some(child)
        })
    }
}

/// A structure or an entry of a dictionary, whose last member is of variable size: its members are taken one by one.
pub(crate) struct Tuple<'a> {
    framed: Framed<'a>,
    position: usize,
    /// Number of remaining members of variable size, without the last one. Their offsets are in reverse order.
    left: usize,
}

impl<'a> Tuple<'a> {
    /// `variable`: how many members are of variable size.
    pub(crate) fn new(bytes: &'a [u8], variable: usize) -> Result<Self, Damaged> {
        let left = variable.saturating_sub(1);
        Ok(Self { framed: Framed::new(bytes, Some(left))?, position: 0, left })
    }

    /// The next member, which is of variable size.
    pub(crate) fn variable(&mut self, alignment: usize) -> Result<&'a [u8], Damaged> {
        let end = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.framed.offset(left).ok_or(Damaged)?
            }
            None => self.framed.body_end,
        };
        self.member(alignment, end)
    }

    /// The next member, which has `size` bytes, and is aligned to as many.
    pub(crate) fn fixed(&mut self, size: usize) -> Result<&'a [u8], Damaged> {
        let start = self.position.checked_next_multiple_of(size).ok_or(Damaged)?;
        self.member(size, start.checked_add(size).ok_or(Damaged)?)
    }

    fn member(&mut self, alignment: usize, end: usize) -> Result<&'a [u8], Damaged> {
        let member = self.framed.child(self.position, alignment, end)?;
        self.position = end;
        Ok(member)
    }
}

/// The two members of an entry of a dictionary, or of a pair: the first is aligned to a byte.
pub(crate) fn pair(bytes: &[u8], second_alignment: usize) -> Result<(&[u8], &[u8]), Damaged> {
    let mut pair = Tuple::new(bytes, 2)?;
    Ok((pair.variable(1)?, pair.variable(second_alignment)?))
}

/// A string (`s`): UTF-8, and one NUL, at its end.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Damaged> {
    match bytes.split_last() {
        Some((0, text)) if !text.contains(&0) => std::str::from_utf8(text).map_err(|_| Damaged),
        _ => Err(Damaged),
    }
}

/// A boolean (`b`).
pub(crate) fn boolean(bytes: &[u8]) -> Result<bool, Damaged> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Damaged),
    }
}

/// A value with its type (`v`).
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    bytes: &'a [u8],
    kind: &'a [u8],
}

impl<'a> Value<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let at = bytes.iter().rposition(|byte| *byte == 0).ok_or(Damaged)?;
        let (bytes, kind) = bytes.split_at_checked(at).ok_or(Damaged)?;
        match kind.get(1..) {
            Some(kind) if !kind.is_empty() => Ok(Self { bytes, kind }),
            _ => Err(Damaged),
        }
    }

    /// Its bytes, if it has this type. They are not checked.
    pub(crate) fn of_type(&self, kind: &str) -> Option<&'a [u8]> {
        (self.kind == kind.as_bytes()).then_some(self.bytes)
    }
}

/// A dictionary with values of any type (`a{sv}`).
#[derive(Clone, Copy)]
pub(crate) struct Dictionary<'a>(Array<'a>);

impl<'a> Dictionary<'a> {
    /// Checks every key, and the type of every value.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let entries = Array::new(bytes, 8)?;
        entries.iter().try_for_each(|entry| Self::entry(entry).map(|_| ()))?;
        Ok(Self(entries))
    }

    /// The value of a key. Of repeated keys the first one, as with GLib.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        // Every entry was checked before.
        let mut entries = self.0.iter().filter_map(|entry| Self::entry(entry).ok());
        entries.find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn entry(bytes: &'a [u8]) -> Result<(&'a str, Value<'a>), Damaged> {
        let (key, value) = pair(bytes, 8)?;
        Ok((text(key)?, Value::new(value)?))
    }
}

/// The strings of an array (`as`).
pub(crate) fn texts(bytes: &[u8]) -> Result<Vec<&str>, Damaged> {
    all(Array::new(bytes, 1)?, text)
}

/// The pairs of a dictionary of strings (`a{ss}`).
pub(crate) fn text_pairs(bytes: &[u8]) -> Result<Vec<(&str, &str)>, Damaged> {
    all(Array::new(bytes, 1)?, |entry| pair(entry, 1).and_then(|(key, value)| Ok((text(key)?, text(value)?))))
}

/// Reads every child. Memory is allocated after all of them were checked.
fn all<'a, T>(array: Array<'a>, read: impl Fn(&'a [u8]) -> Result<T, Damaged>) -> Result<Vec<T>, Damaged> {
    array.iter().try_for_each(|child| read(child).map(|_| ()))?;
    let mut read_children = Vec::with_capacity(array.len());
    for child in array.iter() {
        read_children.push(read(child)?);
    }
    Ok(read_children)
}

/// The members of two 64-bit numbers (`(tt)`), in the byte order of the machine.
pub(crate) fn two_numbers(bytes: &[u8]) -> Result<(u64, u64), Damaged> {
    let (first, second) = bytes.split_at_checked(8).ok_or(Damaged)?;
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).map_err(|_| Damaged);
    Ok((number(first)?, number(second)?))
}
