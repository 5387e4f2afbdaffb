//! The file of a boot loader that does not read entries: a value.

/// A file in `loader.N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderFile {
    /// Its name there.
    pub name: &'static str,
    /// Its text. What others wrote into it may be any bytes.
    pub content: Vec<u8>,
    /// Who may read it.
    pub mode: u32,
}
