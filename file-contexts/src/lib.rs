//! STUB
#![allow(missing_docs)]
use std::fmt;
#[derive(Debug)]
pub struct Texts<'a> {
    pub contexts: &'a [u8],
    pub homedirs: Option<&'a [u8]>,
    pub local: Option<&'a [u8]>,
    pub subs: Option<&'a [u8]>,
    pub subs_dist: Option<&'a [u8]>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Directory,
    File,
    Link,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}
#[derive(Debug)]
pub struct FileContexts {
    lines: Vec<(String, Option<FileKind>, String)>,
}
#[derive(Debug)]
pub struct FileContextsError(String);
impl fmt::Display for FileContextsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for FileContextsError {}
impl FileContexts {
    pub fn parse(texts: Texts<'_>) -> Result<FileContexts, FileContextsError> {
        let mut lines = Vec::new();
        for text in [Some(texts.contexts), texts.homedirs, texts.local].into_iter().flatten() {
            for line in String::from_utf8_lossy(text).lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words.as_slice() {
                    [] => {}
                    [path, label] => lines.push(((*path).to_owned(), None, (*label).to_owned())),
                    [path, kind, label] => lines.push((
                        (*path).to_owned(),
                        match *kind {
                            "-d" => Some(FileKind::Directory),
                            "-l" => Some(FileKind::Link),
                            _ => Some(FileKind::File),
                        },
                        (*label).to_owned(),
                    )),
                    _ => return Err(FileContextsError(format!("line {line:?}"))),
                }
            }
        }
        Ok(FileContexts { lines })
    }
    pub fn label(&self, path: &[u8], kind: Option<FileKind>) -> Option<&str> {
        let path = String::from_utf8_lossy(path);
        let found = self.lines.iter().rev().find(|(regex, of, _)| {
            (of.is_none() || kind.is_none() || *of == kind)
                && match regex.strip_suffix("(/.*)?") {
                    Some(start) => {
                        path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    }
                    None => *path == **regex,
                }
        });
        found.map(|(_, _, label)| label.as_str()).filter(|label| *label != "<<none>>")
    }
    pub fn broken(&self) -> Vec<String> {
        Vec::new()
    }
}
