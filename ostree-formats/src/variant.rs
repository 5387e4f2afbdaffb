//! The GVariants of an OSTree system at boot and at shutdown (GLib's "GVariant Specification 1.0").
//!
//! The input comes from a disk, so nothing is allocated or copied before it is checked: values are slices of the input, and the
//! children of a container must follow one another, as a serializer writes them. GLib accepts any input and reads damaged values
//! as defaults; overlapping children can turn 1 MiB into many. Here a value that is not in normal form is [`Damaged`], because it
//! would be read as another value than was written.

pub(crate) mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

/// A serializer does not write these bytes for a value of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// The size in bytes of a framing offset, in a container with `body` bytes of children and `offsets` offsets.
fn offset_size(body: usize, offsets: usize) -> usize {
    let fits = |size: &usize| match offsets.checked_mul(*size).and_then(|table| table.checked_add(body)) {
        Some(total) => u64::try_from(total).is_ok_and(|total| total >> (8 * size - 1) >> 1 == 0),
        None => false,
    };
    [1, 2, 4].into_iter().find(fits).unwrap_or(8)
}
