//! Unwind tables of a program that never unwinds.
//!
//! With `panic = "abort"` only a backtrace reads them, which is of no use in an initramfs. The C library and Rust's standard
//! library are compiled with them, so the linker keeps them: a tenth of the program. They are filled with zeros, which is how an
//! empty table begins. Then the pages that have nothing but zeros are cut out of the file.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use goblin::container::{Container, Ctx};
use goblin::elf::program_header::PT_LOAD;
use goblin::elf::{Elf, Header, ProgramHeader, SectionHeader};
use scroll::Pwrite;

/// Sections that only unwinding reads.
const TABLES: &[&str] = &[".eh_frame", ".gcc_except_table"];

/// How much of the tables stays in memory, in bytes. The C library's start code reads the first word of the table that belongs to
/// the compiler's own start file; of those that the linker puts before it, none is longer than some hundred bytes.
const KEPT: usize = 1024;

/// Fills the tables with zeros, and removes from the file what nothing maps then.
pub(crate) fn remove_tables(program: &mut Vec<u8>) -> Result<()> {
    for range in tables(&parsed(program)?) {
        program.get_mut(range).context("a section is outside the file")?.fill(0);
    }
    let elf = parsed(program)?;
    let Some(cut) = Cut::of(&elf) else { return Ok(()) };
    let (header, segments, sections) = cut.headers(&elf);
    let context = context(&elf);
    let (segments_at, sections_at) = (offset(header.e_phoff)?, offset(header.e_shoff)?);
    ensure!(cut.bytes.end <= program.len(), "a section is outside the file");
    program.drain(cut.bytes);
    program.pwrite_with(header, 0, context.le)?;
    let mut at = segments_at;
    for segment in segments {
        at += program.pwrite_with(segment, at, context)?;
    }
    let mut at = sections_at;
    for section in sections {
        at += program.pwrite_with(section, at, context)?;
    }
    Ok(())
}

fn parsed(program: &[u8]) -> Result<Elf<'_>> {
    Elf::parse(program).context("not an ELF file")
}

fn context(elf: &Elf<'_>) -> Ctx {
    let container = if elf.is_64 { Container::Big } else { Container::Little };
    Ctx::new(container, if elf.little_endian { scroll::LE } else { scroll::BE })
}

fn offset(value: u64) -> Result<usize> {
    value.try_into().context("an offset is outside the file")
}

/// Where the tables are in the file.
fn tables(elf: &Elf<'_>) -> Vec<Range<usize>> {
    let tables = elf.section_headers.iter().filter(|section| is_table(elf, section));
    tables.filter_map(SectionHeader::file_range).collect()
}

fn is_table(elf: &Elf<'_>, section: &SectionHeader) -> bool {
    elf.shdr_strtab.get_at(section.sh_name).is_some_and(|name| TABLES.contains(&name))
}

/// Bytes of the file that nothing needs.
struct Cut {
    bytes: Range<usize>,
    /// The segment, by number, that ends with them.
    segment: usize,
}

impl Cut {
    /// The tables at the end of a segment, but for their beginning and what alignment needs. None if something else comes after them
    /// in the same segment: another linker may order sections in another way.
    fn of(elf: &Elf<'_>) -> Option<Self> {
        let loads = || elf.program_headers.iter().enumerate().filter(|(_, segment)| segment.p_type == PT_LOAD);
        loads().find_map(|(number, segment)| {
            let end = segment.p_offset.checked_add(segment.p_filesz)?;
            let inside = |section: &&SectionHeader| {
                section.is_alloc() && section.sh_offset >= segment.p_offset && section.sh_offset < end
            };
            let others = elf.section_headers.iter().filter(inside).filter(|section| !is_table(elf, section));
            let after_others = others.filter_map(SectionHeader::file_range).map(|range| range.end).max()?;
            let first = tables(elf).into_iter().filter(|table| table.start >= after_others && table.end as u64 <= end);
            let start = first.map(|table| table.start).min()? + KEPT;
            // What follows moves by whole pages, since a page of the file becomes a page of memory.
            let later = || loads().map(|(_, segment)| segment).filter(|later| later.p_offset >= end);
            let next = offset(later().map(|later| later.p_offset).min()?).ok()?;
            let page = offset(later().map(|later| later.p_align).max()?).ok()?;
            let length = next.checked_sub(start)? / page.max(1) * page.max(1);
            (length > 0).then_some(Self { bytes: start..start + length, segment: number })
        })
    }

    /// The headers of the file without these bytes.
    fn headers(&self, elf: &Elf<'_>) -> (Header, Vec<ProgramHeader>, Vec<SectionHeader>) {
        let (start, length) = (self.bytes.start as u64, self.bytes.len() as u64);
        let moved = |offset: u64| if offset >= start + length { offset - length } else { offset.min(start) };
        let mut header = elf.header;
        header.e_phoff = moved(header.e_phoff);
        header.e_shoff = moved(header.e_shoff);
        let segments = elf.program_headers.iter().enumerate().map(|(number, segment)| {
            let mut segment = segment.clone();
            if number == self.segment {
                segment.p_filesz = start - segment.p_offset;
                segment.p_memsz = segment.p_filesz;
            }
            segment.p_offset = moved(segment.p_offset);
            segment
        });
        let sections = elf.section_headers.iter().map(|section| {
            let mut section = section.clone();
            let end = moved(section.sh_offset.saturating_add(section.sh_size));
            section.sh_offset = moved(section.sh_offset);
            if is_table(elf, &section) {
                section.sh_size = end - section.sh_offset;
            }
            section
        });
        (header, segments.collect(), sections.collect())
    }
}

#[cfg(test)]
mod tests {
    use goblin::elf::program_header::PT_PHDR;

    use super::*;

    fn this_program() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    /// What of a file is in memory, by address, but for the headers.
    fn memory(program: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let elf = Elf::parse(program).unwrap();
        let loads = elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD);
        let headers = elf.program_headers.iter().filter(|segment| segment.p_type == PT_PHDR);
        let headers = headers.map(|segment| segment.file_range().end).max().unwrap_or(0);
        let without = |range: Range<usize>| range.start.max(headers.min(range.end))..range.end;
        loads.map(|segment| (segment.p_vaddr, program[without(segment.file_range())].to_vec())).collect()
    }

    #[test]
    fn the_tables_are_gone_and_nothing_else_changes() {
        let before = this_program();
        let mut after = before.clone();
        remove_tables(&mut after).unwrap();
        for ((address, before), (same, after)) in memory(&before).iter().zip(memory(&after)) {
            assert_eq!(*address, same);
            assert!(before.len() >= after.len(), "{address:#x} grew");
            assert!(before.iter().zip(&after).all(|(a, b)| a == b || *b == 0), "{address:#x} changed");
        }
        let again = after.clone();
        remove_tables(&mut after).unwrap();
        assert_eq!(after, again);
        remove_tables(&mut b"no program".to_vec()).unwrap_err();
    }

    /// This test is a program whose linker may put something after the tables; what is cut is asked of the file itself.
    #[test]
    fn a_program_without_its_tables_still_runs() {
        let mut program = this_program();
        let before = program.len();
        remove_tables(&mut program).unwrap();
        let cut = Cut::of(&Elf::parse(&this_program()).unwrap()).map_or(0, |cut| cut.bytes.len());
        assert_eq!(program.len(), before - cut);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shortened");
        std::fs::write(&path, program).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(&path).arg("--list").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("a_program_without_its_tables_still_runs"));
    }
}
