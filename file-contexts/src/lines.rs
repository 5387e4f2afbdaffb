//! Lines: a regex, a kind of file where the line is for one kind only, and a label.

use crate::certain;
use crate::error::{FileContextsError, Found, Quoted, Source};
use crate::texts::{FileKind, MOST_BYTES, MOST_LINES, NO_LABEL, Texts};

/// libselinux reads no longer field.
const LONGEST_FIELD: usize = u16::MAX as usize - 1;
/// The kernel takes no longer label.
const LONGEST_LABEL: usize = 4095;

/// One line. It is small, because a file may have a million of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// Where the regex begins in the text; the label follows it.
    start: u32,
    regex_length: u16,
    label_length: u16,
    number: u32,
    source: Source,
    /// `None`: for any kind.
    kind: Option<FileKind>,
    /// Whether the regex is one of several, apart by `|`, so that it need not begin as it seems to.
    pub(crate) has_branches: bool,
}

impl Line {
    /// Whether it counts for this kind; without one each counts.
    pub(crate) fn is_for(&self, kind: Option<FileKind>) -> bool {
        self.kind.is_none() || kind.is_none() || self.kind == kind
    }

    /// File and line number.
    pub(crate) fn place(&self) -> (Source, u32) {
        (self.source, self.number)
    }
}

/// All lines, in the order in which they count: of those that match the last one wins.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Regexes and labels, one behind the other.
    text: String,
    lines: Vec<Line>,
    /// Bytes that were read.
    size: usize,
}

impl Lines {
    /// Reads the three files that have lines.
    pub(crate) fn parse(texts: Texts<'_>) -> Result<Lines, FileContextsError> {
        let mut lines = Lines::default();
        let homedirs = texts.homedirs.unwrap_or_default();
        let local = texts.local.unwrap_or_default();
        for (source, text) in [(Source::Contexts, texts.contexts), (Source::Homedirs, homedirs), (Source::Local, local)]
        {
            lines.size = lines.size.saturating_add(text.len());
            for (text, number) in text.split(|byte| *byte == b'\n').zip(1..) {
                let error = |found| FileContextsError { source_file: source, line: number, found };
                if lines.size > MOST_BYTES || lines.lines.len() >= MOST_LINES {
                    return Err(error(Found::TooLarge));
                }
                lines.read(text, source, number).map_err(error)?;
            }
        }
        Ok(lines)
    }

    fn read(&mut self, text: &[u8], source: Source, number: u32) -> Result<(), Found> {
        let mut fields = text.split(|byte| is_space(*byte)).filter(|field| !field.is_empty());
        let Some(regex) = fields.next().filter(|field| !field.starts_with(b"#")) else { return Ok(()) };
        let regex = field(regex)?;
        let second = field(fields.next().ok_or_else(|| Found::NoLabel(Quoted::new(regex)))?)?;
        let (kind, label) = match fields.next() {
            Some(label) => (Some(kind(second)?), field(label)?),
            None => (None, second),
        };
        if !is_label(label) {
            return Err(Found::NotALabel(Quoted::new(label)));
        }
        let length = |field: &str| u16::try_from(field.len()).map_err(|_| Found::LongField(field.len()));
        self.lines.push(Line {
            start: u32::try_from(self.text.len()).map_err(|_| Found::TooLarge)?,
            regex_length: length(regex)?,
            label_length: length(label)?,
            number,
            source,
            kind,
            has_branches: certain::has_branches(regex),
        });
        self.text.push_str(regex);
        self.text.push_str(label);
        Ok(())
    }

    /// Each with its number in the order of all.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, &Line)> {
        (0..).zip(&self.lines)
    }

    /// The line of that number in the order of all.
    pub(crate) fn get(&self, id: u32) -> Option<&Line> {
        self.lines.get(usize::try_from(id).ok()?)
    }

    /// The regex of a line.
    pub(crate) fn regex(&self, line: &Line) -> &str {
        self.part(line.start as usize, line.regex_length)
    }

    /// The label of a line.
    pub(crate) fn label(&self, line: &Line) -> &str {
        self.part(line.start as usize + usize::from(line.regex_length), line.label_length)
    }

    fn part(&self, start: usize, length: u16) -> &str {
        self.text.get(start..start + usize::from(length)).unwrap_or_default()
    }

    /// Bytes that were read.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// What C's `isspace` takes for white space.
pub(crate) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn field(bytes: &[u8]) -> Result<&str, Found> {
    if bytes.len() > LONGEST_FIELD {
        return Err(Found::LongField(bytes.len()));
    }
    if let Some(byte) = bytes.iter().find(|byte| !byte.is_ascii() || **byte == 0) {
        return Err(Found::NotAscii(*byte));
    }
    // It is ASCII.
    Ok(std::str::from_utf8(bytes).unwrap_or_default())
}

fn kind(field: &str) -> Result<FileKind, Found> {
    Ok(match field {
        "--" => FileKind::File,
        "-d" => FileKind::Directory,
        "-l" => FileKind::Link,
        "-c" => FileKind::CharacterDevice,
        "-b" => FileKind::BlockDevice,
        "-p" => FileKind::Fifo,
        "-s" => FileKind::Socket,
        _ => return Err(Found::NotAKind(Quoted::new(field))),
    })
}

/// `user:role:type`, and a range behind it where the policy has levels; whether the policy knows them the kernel decides.
fn is_label(field: &str) -> bool {
    let has_three_parts = || {
        let mut parts = field.splitn(4, ':');
        parts.by_ref().take(3).filter(|part| !part.is_empty()).count() == 3 && parts.next() != Some("")
    };
    field == NO_LABEL
        || (field.len() <= LONGEST_LABEL && field.bytes().all(|byte| byte.is_ascii_graphic()) && has_three_parts())
}
