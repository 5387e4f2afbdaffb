//! The checksum of a file's object, by which a repository finds it: SHA-256 of a header, a GVariant `(uuuusa(ayay))` of owner, mode
//! and extended attributes, and of the content behind it.

use crate::variant::writer::{Container, text_bytes};

/// The header of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// With the bits of the file type.
    pub mode: u32,
    /// Names and values, in any order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl FileHeader {
    /// The bytes in front of the content: length of the header in big endian, padding to 8 bytes, header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut xattrs = self.xattrs.clone();
        xattrs.sort_unstable();
        // The name is a C string in the header.
        xattrs.iter_mut().for_each(|(name, _)| name.push(0));
        let pair =
            |(name, value): &(Vec<u8>, Vec<u8>)| Container::default().variable(1, name).variable(1, value).tuple();
        let xattrs = xattrs.iter().fold(Container::default(), |array, xattr| array.variable(1, &pair(xattr))).array();
        let no_device = 0u32;
        let numbers = [self.uid, self.gid, self.mode, no_device].into_iter();
        let header = numbers.fold(Container::default(), |header, number| header.fixed(&number.to_be_bytes()));
        let header = header.variable(1, &text_bytes("")).variable(1, &xattrs).tuple();
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), &[0u8; 4], header.as_slice()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::FileHeader;
    use gvariant::{Marker, gv};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equal_to_another_serializer(uid: u32, gid: u32, mode: u32, xattrs: Vec<(Vec<u8>, Vec<u8>)>) {
            let header = FileHeader { uid, gid, mode, xattrs };
            let mut xattrs = header.xattrs.clone();
            xattrs.sort_unstable();
            xattrs.iter_mut().for_each(|(name, _)| name.push(0));
            let xattrs: Vec<(&[u8], &[u8])> = xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let numbers = (uid.to_be(), gid.to_be(), mode.to_be());
            let other = gv!("(uuuusa(ayay))").serialize_to_vec(&(numbers.0, numbers.1, numbers.2, 0u32, "", &xattrs));
            prop_assert_eq!(&header.to_bytes()[8..], other);
        }
    }
}
