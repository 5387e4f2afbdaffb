//! Finds the interpreter of a script or the dynamic loader of an ELF file, from the first page of the file.

/// The size of the first page.
pub(crate) const PAGE: usize = 4096;

/// What a program needs before it can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing, as far as this page shows.
    Nothing,
    /// The interpreter that a script names; it may be a script again.
    Interpreter(Vec<u8>),
    /// The dynamic loader, whose path is at this place of the file.
    Loader { offset: u64, length: usize },
}

/// Looks at the first page.
pub(crate) fn needs(page: &[u8]) -> Needs {
    if let Some(rest) = page.strip_prefix(b"#!") {
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        return words.next().map_or(Needs::Nothing, |word| Needs::Interpreter(word.to_vec()));
    }
    loader(page).unwrap_or(Needs::Nothing)
}

/// The program header of type `PT_INTERP`; `None` if this is not an ELF file, or if its first page has no such header.
fn loader(page: &[u8]) -> Option<Needs> {
    const PT_INTERP: u64 = 3;
    const PATH_MAX: u64 = 4096;
    let rest = page.strip_prefix(b"\x7fELF")?;
    let is_64_bit = *rest.first()? == 2;
    let is_big_endian = *rest.get(1)? == 2;
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = page.get(at..at.checked_add(length)?)?.iter();
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if is_big_endian { bytes.fold(0, add) } else { bytes.rev().fold(0, add) })
    };
    // Sizes and offsets of the fields, from elf(5).
    let (word, headers_at, size_at, count_at) = if is_64_bit { (8, 32, 54, 56) } else { (4, 28, 42, 44) };
    let (offset_at, length_at) = if is_64_bit { (8, 32) } else { (4, 16) };
    let headers = usize::try_from(number(headers_at, word)?).ok()?;
    let size = usize::try_from(number(size_at, 2)?).ok()?;
    for index in 0..usize::try_from(number(count_at, 2)?).ok()? {
        let header = headers.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? != PT_INTERP {
            continue;
        }
        let offset = number(header.checked_add(offset_at)?, word)?;
        let length = number(header.checked_add(length_at)?, word)?.min(PATH_MAX);
        return Some(Needs::Loader { offset, length: usize::try_from(length).ok()? });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_name_their_interpreter() {
        let interpreter = |text: &str| needs(text.as_bytes());
        assert_eq!(interpreter("#! /bin/busybox sh\nexec"), Needs::Interpreter(b"/bin/busybox".to_vec()));
        assert_eq!(interpreter("#!/bin/sh"), Needs::Interpreter(b"/bin/sh".to_vec()));
        assert_eq!(interpreter("#!\n"), Needs::Nothing);
        assert_eq!(interpreter("init"), Needs::Nothing);
    }

    #[test]
    fn this_test_is_an_elf_file() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let Needs::Loader { offset, length } = needs(&program[..PAGE]) else { panic!("linked statically?") };
        let path = &program[usize::try_from(offset).unwrap()..][..length];
        assert!(path.starts_with(b"/lib") && path.ends_with(b"\0"), "{}", path.escape_ascii());
    }

    #[test]
    fn the_other_kinds_of_elf_files() {
        // A 32-bit big-endian file with one header, of type PT_INTERP, at 52: 9 bytes at 0x100.
        let mut page = vec![0u8; 52 + 32];
        page[..6].copy_from_slice(b"\x7fELF\x01\x02");
        page[31] = 52;
        page[43] = 32;
        page[45] = 1;
        page[52 + 3] = 3;
        page[52 + 6] = 1;
        page[52 + 19] = 9;
        assert_eq!(needs(&page), Needs::Loader { offset: 0x100, length: 9 });
    }

    #[test]
    fn no_bytes_panic() {
        for length in 0..64 {
            for filler in [0, 1, 2, 0xff] {
                let mut page = b"\x7fELF".to_vec();
                page.resize(4 + length, filler);
                needs(&page);
            }
        }
    }
}
