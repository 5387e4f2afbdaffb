//! GVariants, as far as an OSTree system has them at boot and at shutdown (GLib's "GVariant Specification 1.0").
//!
//! What is read comes from a disk, so nothing is allocated and nothing copied before it is known to be in order: values
//! are slices of the input, and a container is one only if its children lie one behind another, as a serializer puts
//! them. GLib reads anything, what is damaged as default values; and children that overlap can make 1 MiB into many.
//! What is not in normal form is [`Damaged`] here, since it would read as something else than was written.

pub(crate) mod reader;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

/// Not what a serializer writes for a value of that type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// How many bytes a framing offset of a container takes that has `body` bytes of children and `offsets` offsets.
fn offset_size(body: usize, offsets: usize) -> usize {
    let fits = |size: &usize| match offsets.checked_mul(*size).and_then(|table| table.checked_add(body)) {
        Some(total) => u64::try_from(total).is_ok_and(|total| total >> (8 * size - 1) >> 1 == 0),
        None => false,
    };
    [1, 2, 4].into_iter().find(fits).unwrap_or(8)
}
