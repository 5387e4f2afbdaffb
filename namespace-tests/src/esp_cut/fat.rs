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

/// What is in a directory.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Why these are only the first ones.
    pub(super) problem: Option<String>,
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
        let mut found: Option<Entry> = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let listing = match &found {
                None => self.root()?,
                Some(directory) if directory.is_directory => self.list(directory)?,
                Some(_) => return Ok(None),
            };
            let named = listing.entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
            let Some(named) = named else { return Ok(None) };
            found = Some(named);
        }
        Ok(found)
    }

    fn root(&self) -> Result<Listing> {
        match self.root_cluster {
            Some(first) => self.directory(first),
            None => {
                let sectors = self.root.clone().map(|sector| self.state.sector(sector)).collect::<Result<Vec<_>>>()?;
                Ok(Listing { entries: entries(&sectors.concat())?, problem: None })
            }
        }
    }

    /// What is in a directory.
    pub(super) fn list(&self, directory: &Entry) -> Result<Listing> {
        ensure!(directory.is_directory, "{} is no directory", directory.name);
        self.directory(directory.first)
    }

    /// Boot loaders read a directory from its begin, until its chain breaks.
    fn directory(&self, first: u32) -> Result<Listing> {
        let mut bytes = Vec::new();
        let problem = self.follow(first, None, &mut bytes).err().map(|error| format!("{error:#}"));
        Ok(Listing { entries: entries(&bytes)?, problem })
    }

    /// What below a directory is not whole, and passes `is_wanted`.
    pub(super) fn damage_below(&self, top: &Entry, is_wanted: impl Fn(&Entry) -> bool) -> Result<Vec<String>> {
        let (mut damage, mut waiting) = (Vec::new(), vec![top.clone()]);
        while let Some(directory) = waiting.pop() {
            let listing = self.list(&directory)?;
            damage.extend(listing.problem.map(|problem| format!("{}: {problem}", directory.name)));
            for entry in listing.entries.into_iter().filter(&is_wanted) {
                if entry.is_directory {
                    waiting.push(entry);
                } else if let Err(error) = self.read(&entry) {
                    damage.push(format!("{error:#}"));
                }
            }
        }
        Ok(damage)
    }

    /// A file's bytes.
    pub(super) fn read(&self, file: &Entry) -> Result<Vec<u8>> {
        ensure!(!file.is_directory, "{} is a directory", file.name);
        if file.size == 0 {
            ensure!(file.first == 0, "{} is empty and has clusters", file.name);
            return Ok(Vec::new());
        }
        let size = usize::try_from(file.size)?;
        let mut bytes = Vec::with_capacity(size);
        self.follow(file.first, Some(size), &mut bytes).with_context(|| format!("reading {}", file.name))?;
        bytes.truncate(size);
        Ok(bytes)
    }

    /// The clusters from `first` on: as many as are needed for `size` bytes, or a directory's.
    fn follow(&self, first: u32, size: Option<usize>, bytes: &mut Vec<u8>) -> Result<()> {
        let mut cluster = first;
        loop {
            ensure!((2..self.clusters + 2).contains(&cluster), "its chain leads to the cluster {cluster}");
            let begin = self.data + u64::from(cluster - 2) * self.cluster;
            for sector in begin..begin + self.cluster {
                bytes.extend_from_slice(self.state.sector(sector)?);
            }
            let next = self.next(cluster)?;
            match (size, next) {
                (Some(size), None) if bytes.len() < size => bail!("its chain ends after {} bytes", bytes.len()),
                (Some(size), Some(_)) if bytes.len() >= size => bail!("its chain goes on behind its {size} bytes"),
                (None, _) => ensure!(bytes.len() <= DIRECTORY_LIMIT, "its chain has no end"),
                _ => {}
            }
            match next {
                Some(next) => cluster = next,
                None => return Ok(()),
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const CLUSTERS: usize = 5000;
    /// Reserved, FAT, root directory.
    const DATA: usize = 1 + 20 + 1;

    /// A FAT16 with clusters of a sector.
    struct Image(Vec<u8>);

    impl Image {
        fn new() -> Image {
            let mut image = Image(vec![0; (DATA + CLUSTERS) * SECTOR]);
            for (at, bytes) in [
                (11, &[0, 2, 1, 1, 0, 1, 16, 0][..]),
                (19, &((DATA + CLUSTERS) as u16).to_le_bytes()),
                (22, &[20, 0]),
                (510, &[0x55, 0xaa]),
            ] {
                image.put(at, bytes);
            }
            image
        }

        fn put(&mut self, at: usize, bytes: &[u8]) {
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }

        fn link(&mut self, cluster: usize, next: u16) {
            self.put(SECTOR + 2 * cluster, &next.to_le_bytes());
        }

        /// In the root directory: 13 characters of a long name, and the short one.
        fn file(&mut self, slot: usize, long: &str, short: &[u8; 11], attributes: u8, first: u16, size: u32) {
            let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
            let at = 21 * SECTOR + slot * ENTRY;
            let mut slots = [0_u8; 2 * ENTRY];
            (slots[0], slots[11], slots[13]) = (LAST | 1, LONG, sum);
            for (place, character) in (1..11).chain(14..26).chain(28..32).step_by(2).zip(long.bytes()) {
                slots[place] = character;
            }
            slots[32..43].copy_from_slice(short);
            slots[43] = attributes;
            slots[58..60].copy_from_slice(&first.to_le_bytes());
            slots[60..64].copy_from_slice(&size.to_le_bytes());
            self.put(at, &slots);
        }

        fn look<T>(&self, look: impl FnOnce(&Fat<'_>) -> T) -> T {
            let state = State { durable: &self.0, arrived: HashMap::new() };
            look(&Fat::of(&state).unwrap())
        }

        fn read(&self, path: &str) -> Result<Vec<u8>> {
            self.look(|fat| fat.read(&fat.find(path)?.context("not there")?))
        }
    }

    fn image() -> Image {
        let mut image = Image::new();
        image.file(0, "entry.conf", b"ENTRY~1 CON", 0, 5, 700);
        image.file(2, "directory", b"DIRECT~1   ", DIRECTORY, 9, 0);
        for (cluster, next) in [(5, 7), (7, 0xffff), (9, 0xffff)] {
            image.link(cluster, next);
        }
        image.put((DATA + 5) * SECTOR, b"second");
        image
    }

    #[test]
    fn a_file_is_read_by_its_long_name_along_its_chain() {
        let bytes = image().read("Entry.conf").unwrap();
        assert_eq!((bytes.len(), &bytes[SECTOR..SECTOR + 6]), (700, &b"second"[..]));
        assert!(image().read("other.conf").is_err());
    }

    #[test]
    fn a_chain_that_is_not_whole_is_an_error() {
        for (cluster, next, why) in [
            (7, 0, "the cluster 7 is free"),
            (5, 0xffff, "ends after 512 bytes"),
            (7, 8, "goes on behind"),
            (5, 1, "leads to the cluster 1"),
            (5, 0xfff7, "leads to the cluster 65527"),
        ] {
            let mut image = image();
            image.link(cluster, next);
            let error = format!("{:#}", image.read("entry.conf").unwrap_err());
            assert!(error.contains(why), "{error}");
        }
        let mut image = image();
        image.file(0, "entry.conf", b"ENTRY~1 CON", 0, 5, 0);
        assert!(image.read("entry.conf").is_err());
    }

    #[test]
    fn a_long_name_that_is_not_that_of_its_entry_is_none() {
        let mut image = image();
        image.put(21 * SECTOR + ENTRY, b"OTHER");
        assert!(image.read("entry.conf").is_err());
        assert!(image.read("OTHER~1.CON").is_ok());
    }

    #[test]
    fn a_directory_is_read_until_its_chain_breaks() {
        let mut image = image();
        image.put((DATA + 7) * SECTOR, &[0; ENTRY]);
        image.put((DATA + 7) * SECTOR, b"FILE       ");
        let list = |image: &Image| image.look(|fat| fat.list(&fat.find("directory").unwrap().unwrap()).unwrap());
        assert!(list(&image).problem.is_none());
        image.link(9, 12);
        let listing = list(&image);
        assert_eq!((listing.entries.len(), listing.entries[0].name.as_str()), (1, "FILE"));
        assert_eq!(listing.problem.as_deref(), Some("the cluster 12 is free"));
    }

    #[test]
    fn what_is_no_fat_is_an_error() {
        let mut image = image();
        image.put(510, &[0, 0]);
        let state = State { durable: &image.0, arrived: HashMap::new() };
        assert!(Fat::of(&state).is_err());
        assert!(Fat::of(&State { durable: &[], arrived: HashMap::new() }).is_err());
    }
}
