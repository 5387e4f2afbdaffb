//! stub
#![allow(missing_docs)]
use std::fmt;
use std::str::FromStr;
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tries {
    pub left: u32,
    pub done: Option<u32>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    pub number: u32,
    pub stateroot: Option<String>,
    pub tries: Option<Tries>,
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no")]
pub struct NotAnEntryName;
impl FromStr for EntryName {
    type Err = NotAnEntryName;
    fn from_str(s: &str) -> Result<Self, NotAnEntryName> {
        let s = s.strip_prefix("ostree-").and_then(|s| s.strip_suffix(".conf")).ok_or(NotAnEntryName)?;
        let (s, tries) = match s.rsplit_once('+') {
            Some((a, t)) => {
                let (l, d) = match t.split_once('-') {
                    Some((l, d)) => (l, Some(d.parse().map_err(|_| NotAnEntryName)?)),
                    None => (t, None),
                };
                (a, Some(Tries { left: l.parse().map_err(|_| NotAnEntryName)?, done: d }))
            }
            None => (s, None),
        };
        let (n, st) = match s.split_once('-') {
            Some((n, st)) => (n, Some(st.to_owned())),
            None => (s, None),
        };
        Ok(Self { number: n.parse().map_err(|_| NotAnEntryName)?, stateroot: st, tries })
    }
}
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ostree-{}", self.number)?;
        if let Some(s) = &self.stateroot {
            write!(f, "-{s}")?;
        }
        if let Some(t) = &self.tries {
            write!(f, "+{}", t.left)?;
            if let Some(d) = t.done {
                write!(f, "-{d}")?;
            }
        }
        f.write_str(".conf")
    }
}
