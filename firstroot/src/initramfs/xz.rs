//! Passes an xz stream on, as long as its dictionaries are small.
//!
//! The decoder allocates a dictionary as large as the header of a block says: up to 4 GiB. So the headers are read before it: of the
//! stream, of each block, and of each chunk, whose size says where the next one is.

use std::io::{self, Read};

const STREAM_HEADER: usize = 12;
/// Bytes of the check at the end of a block, by its type.
const CHECKS: [u64; 16] = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const LZMA2: u8 = 0x21;
/// The code of 128 MiB. `xz -9` uses 64 MiB.
const LARGEST: u8 = 30;

/// What comes next in the stream.
#[derive(Debug, Clone, Copy)]
enum Part {
    StreamHeader,
    BlockSize,
    /// With so many bytes.
    BlockHeader(usize),
    Chunk,
    /// The rest of a chunk's header, of so many bytes.
    ChunkHeader(usize),
    /// The index, or what is not looked at.
    Rest,
}

/// The stream, with an error of the kind `OutOfMemory` in place of a dictionary that is too large.
#[derive(Debug)]
pub(super) struct SmallDictionaries<R> {
    stream: R,
    part: Part,
    /// Bytes before the next part.
    skipped: u64,
    /// The part, as far as it was read.
    kept: Vec<u8>,
    /// Bytes of the check of each block.
    check: u64,
    /// Bytes of this block's chunks.
    in_block: u64,
}

impl<R: Read> SmallDictionaries<R> {
    pub(super) fn of(stream: R) -> Self {
        Self { stream, part: Part::StreamHeader, skipped: 0, kept: Vec::new(), check: 0, in_block: 0 }
    }

    /// Looks at a part, or as much of it as there is. Returns how many bytes that were.
    fn step(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.skipped > 0 {
            let taken = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(bytes.len());
            self.skipped -= taken as u64;
            return Ok(taken);
        }
        let size = match self.part {
            Part::StreamHeader => STREAM_HEADER,
            Part::BlockSize | Part::Chunk => 1,
            Part::BlockHeader(size) | Part::ChunkHeader(size) => size,
            Part::Rest => return Ok(bytes.len()),
        };
        let taken = size.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.kept.len() >= size {
            let part = std::mem::take(&mut self.kept);
            self.look(&part)?;
        }
        Ok(taken)
    }

    /// At a part that is complete.
    fn look(&mut self, part: &[u8]) -> io::Result<()> {
        let byte = |at: usize| part.get(at).copied().unwrap_or_default();
        let size = |at: usize| u64::from(u16::from_be_bytes([byte(at), byte(at + 1)])) + 1;
        self.part = match self.part {
            Part::StreamHeader => {
                self.check = CHECKS.get(usize::from(byte(7) & 0x0f)).copied().unwrap_or_default();
                Part::BlockSize
            }
            Part::BlockSize if byte(0) == 0 => Part::Rest,
            Part::BlockSize => Part::BlockHeader((usize::from(byte(0)) + 1) * 4 - 1),
            Part::BlockHeader(_) => {
                let dictionary = dictionary(part).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                if dictionary > LARGEST {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
                self.in_block = 0;
                Part::Chunk
            }
            Part::Chunk => {
                self.in_block += 1;
                match byte(0) {
                    0 => {
                        self.skipped = self.in_block.next_multiple_of(4) - self.in_block + self.check;
                        Part::BlockSize
                    }
                    1 | 2 => Part::ChunkHeader(2),
                    0x80..0xc0 => Part::ChunkHeader(4),
                    0xc0.. => Part::ChunkHeader(5),
                    _ => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
            Part::ChunkHeader(bytes) => {
                self.skipped = if bytes == 2 { size(0) } else { size(2) };
                self.in_block += bytes as u64 + self.skipped;
                Part::Chunk
            }
            Part::Rest => Part::Rest,
        };
        Ok(())
    }
}

impl<R: Read> Read for SmallDictionaries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let taken = self.step(rest)?;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(count)
    }
}

/// The code of the dictionary's size in a block's header, which has a chain of filters, the last of them LZMA2.
fn dictionary(header: &[u8]) -> Option<u8> {
    let (flags, mut rest) = header.split_first()?;
    for _ in 0..u8::from(flags & 0x40 != 0) + u8::from(flags & 0x80 != 0) {
        let last = rest.iter().position(|byte| byte & 0x80 == 0)?;
        rest = rest.get(last + 1..)?;
    }
    for _ in 0..flags & 3 {
        let [filter, size, properties @ ..] = rest else { return None };
        if *filter == LZMA2 || *size > 4 {
            return None;
        }
        rest = properties.get(usize::from(*size)..)?;
    }
    match rest {
        [LZMA2, 1, code, ..] => Some(*code),
        _ => None,
    }
}
