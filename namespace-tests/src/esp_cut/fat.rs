//! Reads a FAT more strictly than any boot loader: every chain of clusters must be whole, and of the right length.

use anyhow::{Context, Result, bail, ensure};

use super::state::{SECTOR, State};

const ENTRY: usize = 32;
const DIRECTORY: u8 = 0x10;
const VOLUME: u8 = 0x08;
const LONG: u8 = 0x0f;
const DELETED: u8 = 0xe5;
/// The bit of a long name's slot that begins it.
const LAST: u8 = 0x40;
/// No directory here is larger.
const DIRECTORY_LIMIT: usize = 1 << 20;

/// A filesystem.
#[derive(Debug)]
pub(super) struct Fat<'a> {
    state: &'a State<'a>,
    /// In sectors.
    cluster: u64,
    first_fat: u64,
    /// FAT16's, in sectors.
    root: std::ops::Range<u64>,
    /// FAT32's, as a cluster.
    root_cluster: Option<u32>,
    data: u64,
    clusters: u32,
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_directory: bool,
    pub(super) size: u32,
    first: u32,
}

impl<'a> Fat<'a> {
    pub(super) fn of(state: &'a State<'a>) -> Result<Fat<'a>> {
        let boot = state.sector(0)?;
        ensure!(boot.get(510..512) == Some(&[0x55, 0xaa]), "there is no boot sector");
        ensure!(number(boot, 11, 2)? == SECTOR as u64, "sectors of another size");
        let cluster = number(boot, 13, 1)?;
        let (reserved, fats, root_entries) = (number(boot, 14, 2)?, number(boot, 16, 1)?, number(boot, 17, 2)?);
        let sectors = Some(number(boot, 19, 2)?).filter(|few| *few > 0).map_or_else(|| number(boot, 32, 4), Ok)?;
        let of_fat16 = number(boot, 22, 2)?;
        let length = if of_fat16 > 0 { of_fat16 } else { number(boot, 36, 4)? };
        let root = reserved + fats * length;
        let data = root + (root_entries * ENTRY as u64).div_ceil(SECTOR as u64);
        ensure!(cluster > 0 && sectors > data, "the boot sector makes no sense");
        let clusters = u32::try_from((sectors - data) / cluster)?;
        ensure!(clusters >= 4085, "a FAT12");
        let is_fat32 = clusters >= 65525;
        ensure!(is_fat32 == (of_fat16 == 0), "it is neither a FAT16 nor a FAT32");
        let root_cluster = is_fat32.then(|| number(boot, 44, 4)).transpose()?.map(u32::try_from).transpose()?;
        Ok(Fat { state, cluster, first_fat: reserved, root: root..data, root_cluster, data, clusters })
    }

    /// The entry at a path; `None`: there is none.
    pub(super) fn find(&self, path: &str) -> Result<Option<Entry>> {
        let mut found = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let listing = match &found {
                None => self.root()?,
                Some(directory) => self.list(directory)?,
            };
            let named = listing.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
            let Some(named) = named else { return Ok(None) };
            found = Some(named);
        }
        Ok(found)
    }

    fn root(&self) -> Result<Vec<Entry>> {
        match self.root_cluster {
            Some(first) => entries(&self.chain(first, None)?),
            None => {
                let sectors = self.root.clone().map(|sector| self.state.sector(sector)).collect::<Result<Vec<_>>>()?;
                entries(&sectors.concat())
            }
        }
    }

    /// What is in a directory.
    pub(super) fn list(&self, directory: &Entry) -> Result<Vec<Entry>> {
        ensure!(directory.is_directory, "{} is no directory", directory.name);
        entries(&self.chain(directory.first, None).with_context(|| format!("the directory {}", directory.name))?)
    }

    /// A file's bytes.
    pub(super) fn read(&self, file: &Entry) -> Result<Vec<u8>> {
        ensure!(!file.is_directory, "{} is a directory", file.name);
        if file.size == 0 {
            ensure!(file.first == 0, "{} is empty and has clusters", file.name);
            return Ok(Vec::new());
        }
        let size = usize::try_from(file.size)?;
        let mut bytes = self.chain(file.first, Some(size)).with_context(|| format!("reading {}", file.name))?;
        bytes.truncate(size);
        Ok(bytes)
    }

    /// The clusters from `first` on: as many as are needed for `size` bytes, or a directory's.
    fn chain(&self, first: u32, size: Option<usize>) -> Result<Vec<u8>> {
        let (mut bytes, mut cluster) = (Vec::new(), first);
        loop {
            ensure!((2..self.clusters + 2).contains(&cluster), "its chain leads to the cluster {cluster}");
            let begin = self.data + u64::from(cluster - 2) * self.cluster;
            for sector in begin..begin + self.cluster {
                bytes.extend_from_slice(self.state.sector(sector)?);
            }
            let next = self.next(cluster)?;
            let is_last = next.is_none();
            match (size, next) {
                (Some(size), None) if bytes.len() < size => bail!("its chain ends after {} bytes", bytes.len()),
                (Some(size), Some(_)) if bytes.len() >= size => bail!("its chain goes on behind its {size} bytes"),
                (None, _) => ensure!(bytes.len() <= DIRECTORY_LIMIT, "its chain has no end"),
                _ => {}
            }
            match next {
                Some(next) if !is_last => cluster = next,
                _ => return Ok(bytes),
            }
        }
    }

    /// The cluster that follows; `None`: it is the last one.
    fn next(&self, cluster: u32) -> Result<Option<u32>> {
        let width = if self.root_cluster.is_some() { 4 } else { 2 };
        let at = u64::from(cluster) * width;
        let sector = self.state.sector(self.first_fat + at / SECTOR as u64)?;
        let value = number(sector, usize::try_from(at)? % SECTOR, width as usize)?;
        let (value, end) = if width == 4 { (value & 0x0fff_ffff, 0x0fff_fff8) } else { (value, 0xfff8) };
        ensure!(value != 0, "the cluster {cluster} is free");
        if value >= end { Ok(None) } else { Ok(Some(u32::try_from(value)?)) }
    }
}

/// The entries of a directory's bytes.
fn entries(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    let mut long = LongName::default();
    for slot in bytes.chunks_exact(ENTRY) {
        let (begin, attributes) = (number(slot, 0, 1)? as u8, number(slot, 11, 1)? as u8);
        if begin == 0 {
            break;
        }
        if begin == DELETED {
            long = LongName::default();
        } else if attributes == LONG {
            long.add(slot)?;
        } else {
            let name = std::mem::take(&mut long).finished(slot)?;
            if attributes & VOLUME == 0 && begin != b'.' {
                let first = number(slot, 20, 2)? << 16 | number(slot, 26, 2)?;
                all.push(Entry {
                    name: name.map_or_else(|| short_name(slot), Ok)?,
                    is_directory: attributes & DIRECTORY != 0,
                    size: u32::try_from(number(slot, 28, 4)?)?,
                    first: u32::try_from(first)?,
                });
            }
        }
    }
    Ok(all)
}

/// The slots before an entry, as far as they belong together.
#[derive(Debug, Default)]
struct LongName {
    characters: Vec<u16>,
    /// The number of the slot that is next; 1 is followed by the entry. `None`: there is none, or they do not belong together.
    next: Option<u8>,
    checksum: u8,
}

impl LongName {
    fn add(&mut self, slot: &[u8]) -> Result<()> {
        let (order, checksum) = (number(slot, 0, 1)? as u8, number(slot, 13, 1)? as u8);
        if order & LAST != 0 {
            *self = LongName { characters: Vec::new(), next: Some(order & !LAST), checksum };
        }
        if self.next != Some(order & !LAST) || self.checksum != checksum || order & !LAST == 0 {
            *self = LongName::default();
            return Ok(());
        }
        let mut characters = Vec::new();
        for at in (1..11).chain(14..26).chain(28..32).step_by(2) {
            characters.push(number(slot, at, 2)? as u16);
        }
        characters.append(&mut self.characters);
        self.characters = characters;
        self.next = Some((order & !LAST) - 1);
        Ok(())
    }

    /// The name, if the slots are those of this entry.
    fn finished(self, slot: &[u8]) -> Result<Option<String>> {
        let short = slot.get(..11).context("a slot")?;
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.next != Some(0) || sum != self.checksum {
            return Ok(None);
        }
        let characters: Vec<u16> = self.characters.into_iter().take_while(|character| *character != 0).collect();
        Ok(Some(String::from_utf16(&characters).context("a long name")?))
    }
}

fn short_name(slot: &[u8]) -> Result<String> {
    let part = |range: std::ops::Range<usize>| -> Result<String> {
        let bytes = slot.get(range).context("a slot")?;
        Ok(String::from_utf8_lossy(bytes).trim_end().to_owned())
    };
    let (name, extension) = (part(0..8)?, part(8..11)?);
    Ok(if extension.is_empty() { name } else { format!("{name}.{extension}") })
}

/// A number of up to eight bytes, the lowest first.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64> {
    let bytes = bytes.get(at..at + width).context("a number behind the end")?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
