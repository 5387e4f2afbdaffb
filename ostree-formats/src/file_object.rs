//! The checksum of a file's object, by which a repository finds it: SHA-256 of a header, a GVariant `(uuuusa(ayay))` of owner, mode
//! and extended attributes, and of the content behind it.

use gvariant::{Marker, gv};

/// What a header says of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// With the bits that say that it is a file.
    pub mode: u32,
    /// Names and values, in any order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl FileHeader {
    /// The bytes in front of the content: length of the header in big endian, padding to 8 bytes, header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut xattrs = self.xattrs.clone();
        xattrs.sort_unstable();
        // A name is a C string there.
        xattrs.iter_mut().for_each(|(name, _)| name.push(0));
        let xattrs: Vec<(&[u8], &[u8])> =
            xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let no_device = 0u32;
        let header = gv!("(uuuusa(ayay))").serialize_to_vec(&(
            self.uid.to_be(),
            self.gid.to_be(),
            self.mode.to_be(),
            no_device,
            "",
            &xattrs,
        ));
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes(), &[0u8; 4], header.as_slice()].concat()
    }
}
