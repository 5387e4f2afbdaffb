//! Unified kernel images (uapi-group.org, "Unified Kernel Image"): one EFI program with kernel and initramfs in sections.
//!
//! Only the table of sections is read, which is at the beginning of the file.

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_NT_OPTIONAL_HDR64_MAGIC, IMAGE_SUBSYSTEM_EFI_APPLICATION, ImageDosHeader, ImageNtHeaders32, ImageNtHeaders64,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, optional_header_magic};

/// How much of a file has its table of sections. A larger one is not looked for.
pub const HEAD: usize = 64 << 10;
/// More are not looked at.
const MOST_SECTIONS: usize = 96;

/// A unified kernel image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnifiedKernel {
    /// It has kernel arguments of its own: with Secure Boot, those of a boot loader entry do not count.
    pub has_command_line: bool,
    /// Where its initramfs begins, in bytes.
    pub initramfs_offset: u64,
    /// The size of its initramfs, in bytes; the end may be padding.
    pub initramfs_size: u64,
}

impl UnifiedKernel {
    /// From the first [`HEAD`] bytes of a file; `None`: it is a kernel without an initramfs, or no EFI program at all.
    pub fn parse(head: &[u8]) -> Option<Self> {
        if optional_header_magic(head).ok()? == IMAGE_NT_OPTIONAL_HDR64_MAGIC {
            Self::of::<ImageNtHeaders64>(head)
        } else {
            Self::of::<ImageNtHeaders32>(head)
        }
    }

    fn of<Headers: ImageNtHeaders>(head: &[u8]) -> Option<Self> {
        let mut offset = ImageDosHeader::parse(head).ok()?.nt_headers_offset().into();
        let (headers, _) = Headers::parse(head, &mut offset).ok()?;
        if headers.optional_header().subsystem() != IMAGE_SUBSYSTEM_EFI_APPLICATION {
            return None;
        }
        let sections = headers.sections(head, offset).ok()?;
        let find = |name: &[u8]| {
            let mut first = sections.iter().take(MOST_SECTIONS);
            first.find(|section| section.raw_name() == name && section.size_of_raw_data.get(LE) > 0)
        };
        let (_, initrd) = find(b".linux").zip(find(b".initrd"))?;
        // What is in memory is shorter than what is in the file, which has the size of whole blocks.
        let (in_file, in_memory) = (initrd.size_of_raw_data.get(LE), initrd.virtual_size.get(LE));
        Some(Self {
            has_command_line: find(b".cmdline").is_some(),
            initramfs_offset: initrd.pointer_to_raw_data.get(LE).into(),
            initramfs_size: if in_memory == 0 { in_file } else { in_file.min(in_memory) }.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The head of an EFI program of x86-64 with these sections.
    fn image(sections: &[(&str, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; 0x40];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x40;
        bytes.extend(b"PE\0\0");
        let count = u16::try_from(sections.len()).unwrap();
        bytes.extend(0x8664_u16.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(240_u16.to_le_bytes());
        bytes.extend([0; 2]);
        let mut optional = vec![0; 240];
        optional[..2].copy_from_slice(&0x20b_u16.to_le_bytes());
        optional[68] = 10;
        optional[108] = 16;
        bytes.extend(optional);
        for (name, size) in sections {
            let mut header = [0; 40];
            header[..name.len()].copy_from_slice(name.as_bytes());
            header[16..20].copy_from_slice(&size.to_le_bytes());
            bytes.extend(header);
        }
        bytes
    }

    #[test]
    fn what_has_a_kernel_and_an_initramfs_is_one() {
        let parse = |sections: &[(&str, u32)]| UnifiedKernel::parse(&image(sections));
        let with_command_line =
            |has_command_line| Some(UnifiedKernel { has_command_line, initramfs_offset: 0, initramfs_size: 5 });
        assert_eq!(parse(&[(".text", 1), (".linux", 5), (".initrd", 5)]), with_command_line(false));
        assert_eq!(parse(&[(".linux", 5), (".initrd", 5), (".cmdline", 1)]), with_command_line(true));
        // A kernel with the stub of Linux, and an image without an initramfs.
        assert_eq!(parse(&[(".setup", 1), (".text", 1), (".data", 1)]), None);
        assert_eq!(parse(&[(".linux", 5), (".initrd", 0)]), None);
        assert_eq!(UnifiedKernel::parse(b""), None);
        let mut driver = image(&[(".linux", 5), (".initrd", 5)]);
        driver[0x40 + 24 + 68] = 11;
        assert_eq!(UnifiedKernel::parse(&driver), None);
    }

    #[test]
    fn what_is_cut_short_is_none() {
        let whole = image(&[(".linux", 5), (".initrd", 5)]);
        for length in 0..whole.len() {
            assert_eq!(UnifiedKernel::parse(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0..400_usize, byte: u8, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = image(&[(".linux", 5), (".initrd", 5)]);
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            let _ = UnifiedKernel::parse(&bytes);
            let _ = UnifiedKernel::parse(&tail);
        }
    }
}
