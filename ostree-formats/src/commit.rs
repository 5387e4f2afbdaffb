//! stub
#![allow(missing_docs)]
use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, Structure, gv};
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no commit")]
pub struct CommitError;
pub fn version(bytes: &[u8]) -> Result<Option<String>, CommitError> {
    let al = copy_to_align(bytes);
    let c = gv!("(a{sv}aya(say)sstayay)").cast(al.as_ref());
    let (meta, ..) = c.to_tuple();
    Ok(meta
        .iter()
        .map(|e| e.to_tuple())
        .find(|(k, _)| k.to_str() == "version")
        .and_then(|(_, v)| v.get(gv!("s")))
        .map(|s| s.to_str().to_owned()))
}
