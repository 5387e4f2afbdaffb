//! Unwind tables of a program that never unwinds.
//!
//! With `panic = "abort"` only a backtrace reads them, which is of no use in an initramfs. The C library and Rust's standard
//! library are compiled with them, so the linker keeps them: 92 KB, a tenth of the compressed program. Filled with zeros, which is
//! how an empty table begins, they compress to nothing.

use anyhow::{Context, Result};
use goblin::elf::Elf;

/// Sections that only unwinding reads.
const TABLES: &[&str] = &[".eh_frame", ".gcc_except_table"];

/// Fills them with zeros.
pub(crate) fn clear_tables(program: &mut [u8]) -> Result<()> {
    let ranges = {
        let elf = Elf::parse(program).context("not an ELF file")?;
        let names = elf.section_headers.iter();
        let tables =
            names.filter(|section| elf.shdr_strtab.get_at(section.sh_name).is_some_and(|n| TABLES.contains(&n)));
        tables.filter_map(|section| section.file_range()).collect::<Vec<_>>()
    };
    for range in ranges {
        program.get_mut(range).context("a section is outside the file")?.fill(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_empty_and_nothing_else_changes() {
        let before = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut after = before.clone();
        clear_tables(&mut after).unwrap();
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(changed > 0 && before.iter().zip(&after).all(|(a, b)| a == b || *b == 0));
        let again = after.clone();
        clear_tables(&mut after).unwrap();
        assert_eq!(after, again);
        clear_tables(&mut b"no program".to_vec()).unwrap_err();
    }
}
