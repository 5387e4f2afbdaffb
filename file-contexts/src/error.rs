//! What is wrong with a text.

use std::fmt;

use thiserror::Error;

/// Which of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `file_contexts`
    Contexts,
    /// `file_contexts.homedirs`
    Homedirs,
    /// `file_contexts.local`
    Local,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Contexts => "file_contexts",
            Source::Homedirs => "file_contexts.homedirs",
            Source::Local => "file_contexts.local",
        })
    }
}

/// The text of a policy cannot be read: which file, which line, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{source_file}:{line}: {found}")]
pub struct FileContextsError {
    /// Which file.
    pub source_file: Source,
    /// The number of the line, from 1 on.
    pub line: u32,
    /// What was found there.
    pub found: Found,
}

/// What was found in place of a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Found {
    /// A byte above 127 or a NUL byte in a field.
    #[error("byte {0:#04x}, which is not ASCII text")]
    NotAscii(u8),
    /// Only one field.
    #[error("no label behind {0}")]
    NoLabel(Quoted),
    /// A second field that is no kind of file.
    #[error("{0} is not one of -- -d -l -c -b -p -s")]
    NotAKind(Quoted),
    /// A last field that is not `user:role:type` and is not `<<none>>`.
    #[error("{0} is not a label")]
    NotALabel(Quoted),
    /// A field that is longer than libselinux reads.
    #[error("a field of {0} bytes")]
    LongField(usize),
    /// More lines, or more bytes, than any policy has.
    #[error("more than {lines} lines or {bytes} bytes in the files of one policy", lines = crate::texts::MOST_LINES, bytes = crate::texts::MOST_BYTES)]
    TooLarge,
}

/// The beginning of a field, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted(String);

/// Of a field in a message.
const SHOWN: usize = 80;

impl Quoted {
    /// Of a field, which may be long.
    pub(crate) fn new(field: &str) -> Quoted {
        let mut shown: String = field.chars().take(SHOWN).collect();
        if shown.len() < field.len() {
            shown.push('…');
        }
        Quoted(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
