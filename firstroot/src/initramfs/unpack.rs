//! The files of an initramfs, as the kernel unpacks them: archives one after the other, each of them compressed or not.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::cpio::{CpioError, Reader, Visitor};
use super::xz::SmallDictionaries;

/// No initramfs is larger when it is unpacked: it has to fit into memory.
const LARGEST: u64 = 4 << 30;
/// How much is read at a time.
const PIECE: usize = 128 << 10;
/// The largest block of lz4's legacy format, unpacked.
const LZ4_BLOCK: usize = 8 << 20;
/// What the kernel reads of zstd at most, and more than `xz -9` uses.
const LARGEST_WINDOW: u64 = 128 << 20;
const LZ4_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// Why not all files are known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// It cannot be read from the disk.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// It is compressed in a way that is not read here. That says nothing about the kernel.
    #[error("it is compressed by {0}, which firstroot does not read")]
    Unknown(&'static str),
    /// The decoder would need that much memory. That says nothing about the kernel.
    #[error("it is compressed by {0} with a dictionary of more than 128 MiB, which firstroot does not read")]
    LargeDictionary(&'static str),
    /// The kernel does not know it either.
    #[error("it is neither an archive nor compressed in a way that is known")]
    NoArchive,
    #[error("it cannot be decompressed ({0}): {1}")]
    Damaged(&'static str, String),
    #[error("{0}")]
    Archive(#[from] CpioError),
    #[error("it ends in the middle of a file")]
    Incomplete,
    #[error("unpacked it is larger than 4 GiB")]
    TooLarge,
}

impl UnpackError {
    /// Whether the initramfs is bad, and not only unknown.
    pub(crate) fn is_certain(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Unknown(_) | Self::LargeDictionary(_) | Self::TooLarge)
    }
}

/// Unpacks `file`.
///
/// # Errors
/// It is damaged, or of an unknown kind. What came before was visited.
pub(crate) fn unpack(file: impl Read, visitor: &mut impl Visitor) -> Result<(), UnpackError> {
    let mut input = Input { pushed_back: Vec::new(), file: BufReader::with_capacity(PIECE, file) };
    let mut sink = Sink { reader: Reader::default(), visitor, bytes: 0, error: None };
    loop {
        let begin = input.fill_buf().map_err(UnpackError::Read)?;
        let zeros = begin.iter().take_while(|byte| **byte == 0).count();
        match begin.get(zeros) {
            None if begin.is_empty() => return Ok(()),
            None => input.consume(zeros),
            Some(b'0') => plain(&mut input, &mut sink)?,
            Some(_) => {
                input.consume(zeros);
                compressed(&mut input, &mut sink)?;
            }
        }
    }
}

/// One archive that is not compressed.
fn plain(input: &mut Input<impl Read>, sink: &mut Sink<'_, impl Visitor>) -> Result<(), UnpackError> {
    loop {
        let bytes = input.fill_buf().map_err(UnpackError::Read)?;
        if bytes.is_empty() {
            return Err(UnpackError::Incomplete);
        }
        let taken = sink.reader.feed(bytes, sink.visitor)?;
        input.consume(taken);
        if sink.reader.is_between() {
            return Ok(());
        }
    }
}

/// What is compressed, up to its end.
fn compressed(input: &mut Input<impl Read>, sink: &mut Sink<'_, impl Visitor>) -> Result<(), UnpackError> {
    let magic = input.peek(6).map_err(UnpackError::Read)?;
    let (name, result) = match magic.as_slice() {
        [0x1f, 0x8b | 0x9e, ..] => ("gzip", io::copy(&mut flate2::bufread::GzDecoder::new(input), sink).map(drop)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", zstd(input, sink)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => ("xz", xz(input, sink)),
        [a, b, c, d, ..] if [*a, *b, *c, *d] == LZ4_MAGIC => ("lz4", lz4(input, sink)),
        [b'B', b'Z', b'h', ..] => return Err(UnpackError::Unknown("bzip2")),
        [0x5d, 0, 0, ..] => return Err(UnpackError::Unknown("lzma")),
        [0x89, b'L', b'Z', b'O', ..] => return Err(UnpackError::Unknown("lzo")),
        _ => return Err(UnpackError::NoArchive),
    };
    if let Some(error) = sink.error.take() {
        return Err(error);
    }
    result.map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory => UnpackError::LargeDictionary(name),
        _ => UnpackError::Damaged(name, error.to_string()),
    })?;
    if sink.reader.is_between() { Ok(()) } else { Err(UnpackError::Incomplete) }
}

/// A file, and bytes that were taken from it and come first.
struct Input<R> {
    pushed_back: Vec<u8>,
    file: BufReader<R>,
}

impl<R: Read> Input<R> {
    /// The next bytes, at most `count`, without taking them.
    fn peek(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(count as u64).read_to_end(&mut bytes)?;
        self.push_back(&bytes);
        Ok(bytes)
    }

    fn push_back(&mut self, bytes: &[u8]) {
        self.pushed_back.splice(..0, bytes.iter().copied());
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pushed_back.is_empty() {
            return self.file.read(buffer);
        }
        let count = self.pushed_back.as_slice().read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.pushed_back.is_empty() { self.file.fill_buf() } else { Ok(&self.pushed_back) }
    }

    fn consume(&mut self, count: usize) {
        if self.pushed_back.is_empty() {
            self.file.consume(count);
        } else {
            self.pushed_back.drain(..count.min(self.pushed_back.len()));
        }
    }
}

fn zstd(input: &mut Input<impl Read>, sink: &mut Sink<'_, impl Visitor>) -> io::Result<()> {
    // The decoder keeps as many bytes as the frame's header says.
    if window(&input.peek(18)?).is_some_and(|bytes| bytes > LARGEST_WINDOW) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(input).map_err(other)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let count = decoder.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        sink.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

/// The window of a zstd frame, which begins with these bytes. A frame of a single segment has one of the size of its content.
fn window(frame: &[u8]) -> Option<u64> {
    let (flags, rest) = frame.get(4..)?.split_first()?;
    if flags & 0x20 == 0 {
        let code = u64::from(*rest.first()?);
        let base = 1_u64 << (10 + (code >> 3));
        return Some(base + base / 8 * (code & 7));
    }
    let dictionary = [0, 1, 2, 4].get(usize::from(flags & 3))?;
    let bytes = rest.get(*dictionary..)?.get(..1 << (flags >> 6))?;
    Some(bytes.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte)))
}

fn xz(input: &mut Input<impl Read>, sink: &mut Sink<'_, impl Visitor>) -> io::Result<()> {
    // One stream: another archive may follow it.
    io::copy(&mut lzma_rust2::XzReader::new(SmallDictionaries::of(input), false), sink).map(drop)
}

/// lz4's legacy format, which is the kernel's: blocks with their sizes, up to one that cannot be one.
fn lz4(input: &mut Input<impl Read>, sink: &mut Sink<'_, impl Visitor>) -> io::Result<()> {
    let largest = lz4_flex::block::get_maximum_output_size(LZ4_BLOCK);
    let (mut block, mut unpacked) = (Vec::new(), vec![0; LZ4_BLOCK]);
    loop {
        let mut head = Vec::new();
        input.by_ref().take(4).read_to_end(&mut head)?;
        let Some(head) = head.first_chunk::<4>() else {
            input.push_back(&head);
            return Ok(());
        };
        if *head == LZ4_MAGIC {
            continue;
        }
        let size = u32::from_le_bytes(*head) as usize;
        if size == 0 || size > largest {
            input.push_back(head);
            return Ok(());
        }
        block.clear();
        if input.by_ref().take(size as u64).read_to_end(&mut block)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = lz4_flex::block::decompress_into(&block, &mut unpacked).map_err(other)?;
        sink.write_all(unpacked.get(..count).unwrap_or_default())?;
    }
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Takes what was decompressed.
struct Sink<'a, V> {
    reader: Reader,
    visitor: &'a mut V,
    bytes: u64,
    error: Option<UnpackError>,
}

impl<V: Visitor> Write for Sink<'_, V> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > LARGEST {
            self.error = Some(UnpackError::TooLarge);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.reader.feed(bytes, self.visitor).map_err(|error| {
            self.error = Some(error.into());
            io::ErrorKind::InvalidData.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
