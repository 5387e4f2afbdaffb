//! What is read: the files of a policy, and the words and bounds of their lines.

/// Real policies have 7,000.
pub(crate) const MOST_LINES: usize = 2 << 20;
/// Of all files of a policy; real ones have 600 KB.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// The label that stands for none: what matches such a line has no label.
pub(crate) const NO_LABEL: &str = "<<none>>";

/// The texts of one policy, from its directory `contexts/files`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// `file_contexts`
    pub contexts: &'a [u8],
    /// `file_contexts.homedirs`
    pub homedirs: Option<&'a [u8]>,
    /// `file_contexts.local`
    pub local: Option<&'a [u8]>,
    /// `file_contexts.subs`
    pub subs: Option<&'a [u8]>,
    /// `file_contexts.subs_dist`
    pub subs_dist: Option<&'a [u8]>,
}

/// What a path is, where a line is for one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `-d`
    Directory,
    /// `--`
    File,
    /// `-l`
    Link,
    /// `-c`
    CharacterDevice,
    /// `-b`
    BlockDevice,
    /// `-p`
    Fifo,
    /// `-s`
    Socket,
}
