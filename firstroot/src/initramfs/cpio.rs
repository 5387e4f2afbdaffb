//! A reader of the archives that the kernel unpacks: cpio in the format `newc`. It is fed with pieces, and keeps little.
//!
//! Sizes in an archive decide only how much is passed over. Of a name or a file no more is kept than the limits allow.

/// The bytes of a header.
const HEADER: usize = 110;
/// The kernel's limit of a path.
const LONGEST_NAME: u32 = 4096;
/// The last name of an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why bytes are not an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CpioError {
    #[error("a header of its archive is damaged")]
    Header,
    #[error("a name in its archive has {0} bytes")]
    Name(u32),
    #[error("there is something else after its archive")]
    Junk,
}

/// What is read of an archive.
pub(crate) trait Visitor {
    /// A file begins. Returns how many of its bytes are wanted.
    fn begin(&mut self, file: &Member) -> usize;
    /// It has ended; `content` is its beginning, as far as it was wanted.
    fn end(&mut self, file: &Member, content: Vec<u8>);
    /// The archive has ended: names that wait for their content get none.
    fn trailer(&mut self);
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Member {
    /// Its path, as the archive has it.
    pub(crate) name: Vec<u8>,
    /// Its type and permissions.
    pub(crate) mode: u32,
    /// Its size.
    pub(crate) size: u32,
    /// What its names have in common if it has several: inode, and device. Only the last one in the archive has the content.
    pub(crate) file: Option<[u32; 3]>,
}

impl Member {
    /// Whether it is a regular file.
    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Whether it is a symbolic link, whose content is its target.
    pub(crate) fn is_link(&self) -> bool {
        self.mode & 0o170_000 == 0o120_000
    }
}

/// Where in an archive the reader is.
#[derive(Debug)]
enum State {
    /// Between two archives, where zeros are passed over.
    Between,
    Header,
    Name(Member, u32),
    Content {
        member: Member,
        wanted: usize,
        left: u64,
    },
    /// Zeros up to the next header, then whether the archive has ended.
    Padding(u64, bool),
}

/// The reader.
#[derive(Debug)]
pub(crate) struct Reader {
    state: State,
    /// A header, a name or the wanted part of a file, as far as it was read.
    kept: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { state: State::Between, kept: Vec::new() }
    }
}

impl Reader {
    /// Whether no archive is begun.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.state, State::Between)
    }

    /// Takes bytes, at most up to the end of an archive. Returns how many it took.
    ///
    /// # Errors
    /// They are not an archive.
    pub(crate) fn feed(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<usize, CpioError> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let was_between = self.is_between();
            at += self.step(rest, visitor)?;
            if !was_between && self.is_between() {
                break;
            }
        }
        Ok(at)
    }

    /// One part, or as much of it as there is.
    fn step(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<usize, CpioError> {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                match bytes.get(zeros) {
                    None => {}
                    Some(b'0') => self.state = State::Header,
                    Some(_) => return Err(CpioError::Junk),
                }
                Ok(zeros)
            }
            State::Header => {
                let (taken, header) = self.take(bytes, HEADER);
                self.state = match header {
                    None => State::Header,
                    Some(header) => {
                        let (member, name_bytes) = parse(&header)?;
                        State::Name(member, name_bytes)
                    }
                };
                Ok(taken)
            }
            State::Name(mut member, name_bytes) => {
                // The name is padded, together with the header.
                let padded = (HEADER as u32 + name_bytes).next_multiple_of(4) - HEADER as u32;
                let (taken, name) = self.take(bytes, padded as usize);
                let Some(mut name) = name else {
                    self.state = State::Name(member, name_bytes);
                    return Ok(taken);
                };
                name.truncate(name_bytes.saturating_sub(1) as usize);
                member.name = name;
                self.state = if member.name == TRAILER {
                    visitor.trailer();
                    State::Padding(padded_rest(member.size), true)
                } else {
                    let wanted = visitor.begin(&member).min(member.size as usize);
                    State::Content { wanted, left: member.size.into(), member }
                };
                self.end_if_complete(visitor);
                Ok(taken)
            }
            State::Content { member, wanted, left } => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let missing = wanted.saturating_sub(self.kept.len()).min(taken);
                self.kept.extend_from_slice(bytes.get(..missing).unwrap_or_default());
                self.state = State::Content { member, wanted, left: left - taken as u64 };
                self.end_if_complete(visitor);
                Ok(taken)
            }
            State::Padding(left, is_last) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.state = State::Padding(left - taken as u64, is_last);
                self.end_if_complete(visitor);
                Ok(taken)
            }
        }
    }

    /// Goes on where nothing is left of a part.
    fn end_if_complete(&mut self, visitor: &mut impl Visitor) {
        if let State::Content { member, left: 0, .. } = &self.state {
            visitor.end(member, std::mem::take(&mut self.kept));
            self.state = State::Padding(padding(member.size), false);
        }
        match self.state {
            State::Padding(0, true) => self.state = State::Between,
            State::Padding(0, false) => self.state = State::Header,
            _ => {}
        }
    }

    /// Keeps bytes until there are `wanted`.
    fn take(&mut self, bytes: &[u8], wanted: usize) -> (usize, Option<Vec<u8>>) {
        let taken = wanted.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        let is_complete = self.kept.len() >= wanted;
        (taken, is_complete.then(|| std::mem::take(&mut self.kept)))
    }
}

fn padding(size: u32) -> u64 {
    u64::from(size).next_multiple_of(4) - u64::from(size)
}

fn padded_rest(size: u32) -> u64 {
    u64::from(size).next_multiple_of(4)
}

/// The fields that are used: inode, mode, number of names, size, device, and the bytes of the name.
fn parse(header: &[u8]) -> Result<(Member, u32), CpioError> {
    let field = |number: usize| {
        let digits = header.get(6 + 8 * number..14 + 8 * number).ok_or(CpioError::Header)?;
        let digits = std::str::from_utf8(digits).map_err(|_| CpioError::Header)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(CpioError::Header);
        }
        u32::from_str_radix(digits, 16).map_err(|_| CpioError::Header)
    };
    if !matches!(header.get(..6), Some(b"070701" | b"070702")) {
        return Err(CpioError::Header);
    }
    let (mode, size, name_bytes) = (field(1)?, field(6)?, field(11)?);
    if name_bytes == 0 || name_bytes > LONGEST_NAME {
        return Err(CpioError::Name(name_bytes));
    }
    let file = if field(4)? > 1 { Some([field(0)?, field(7)?, field(8)?]) } else { None };
    Ok((Member { name: Vec::new(), mode, size, file }, name_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct All(Vec<(String, Vec<u8>)>);

    impl Visitor for All {
        fn begin(&mut self, _: &Member) -> usize {
            5
        }

        fn end(&mut self, file: &Member, content: Vec<u8>) {
            self.0.push((String::from_utf8_lossy(&file.name).into_owned(), content));
        }

        fn trailer(&mut self) {}
    }

    use super::super::archive;

    #[test]
    fn in_pieces_of_any_size_it_is_the_same() {
        let files = [("a", "content"), ("dir/longer.name", ""), ("b", "1234")];
        let mut bytes = archive(&files);
        bytes.extend([0; 37]);
        bytes.extend(archive(&[("c", "x")]));
        for piece in [1, 2, 3, 7, 110, 4096] {
            let (mut reader, mut all) = (Reader::default(), All::default());
            for part in bytes.chunks(piece) {
                let mut at = 0;
                while at < part.len() {
                    at += reader.feed(&part[at..], &mut all).unwrap();
                }
            }
            let names: Vec<&str> = all.0.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["a", "dir/longer.name", "b", "c"], "{piece}");
            assert_eq!(all.0[0].1, b"conte");
            assert!(reader.is_between());
        }
    }

    #[test]
    fn damage_is_an_error_and_no_size_is_believed() {
        let good = archive(&[("a", "content")]);
        let with = |at: usize, digits: &[u8]| {
            let mut bytes = good.clone();
            bytes[at..at + digits.len()].copy_from_slice(digits);
            Reader::default().feed(&bytes, &mut All::default())
        };
        assert_eq!(with(6 + 88, b"ffffffff"), Err(CpioError::Name(u32::MAX)));
        assert_eq!(with(6 + 88, b"00000000"), Err(CpioError::Name(0)));
        assert_eq!(with(6 + 48, b"+0000001"), Err(CpioError::Header));
        assert_eq!(with(0, b"07070x"), Err(CpioError::Header));
        assert_eq!(with(0, b"x"), Err(CpioError::Junk));
        // The rest is taken for the content of the file.
        assert_eq!(with(6 + 48, b"ffffffff"), Ok(good.len()));
    }
}
