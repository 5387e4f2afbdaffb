//! Properties of this crate's parsers that hold for all bytes. Not in the shipped program.

use crate::initramfs::contents::{find, version};
use crate::initramfs::cpio::{CpioError, Reader};
use crate::initramfs::{self, Contents, UnpackError};
use crate::read::journal;
use crate::status::recovered;

/// The archives of an initramfs, unpacked: in pieces of any size the same is found, and what is found stands in them.
pub fn cpio(bytes: &[u8]) {
    let (whole, end) = fed(bytes, bytes.len());
    let (in_pieces, same_end) = fed(bytes, 13);
    assert_eq!((&whole, &end), (&in_pieces, &same_end));
    if let Some(program) = whole.prepare_root() {
        assert!(program.path.ends_with("ostree-prepare-root"));
        assert!(program.firstroot.as_ref().is_none_or(|version| version.chars().count() <= 32));
    }
    if let Ok(parsed) = whole.configuration() {
        assert!(parsed.warnings.iter().all(|warning| warning.len() <= 12 * bytes.len() + 1000));
    }
    if let Some(version) = version(bytes).filter(|version| version.is_ascii()) {
        assert!(version.is_empty() || find(bytes, version.as_bytes()).is_some());
    }
}

/// What the archives have, and how reading them ended: whether the last one is whole, or why it is none.
fn fed(bytes: &[u8], piece: usize) -> (Contents, Result<bool, CpioError>) {
    let (mut reader, mut contents) = (Reader::default(), Contents::default());
    for mut part in bytes.chunks(piece.max(1)) {
        while !part.is_empty() {
            match reader.feed(part, &mut contents) {
                Ok(taken) => part = part.get(taken..).unwrap_or_default(),
                Err(error) => return (contents, Err(error)),
            }
        }
    }
    (contents, Ok(reader.is_between()))
}

/// A whole initramfs. Its decompressors take memory that does not depend on its size, so this is no target with bounds.
///
/// # Errors
/// Why it cannot be read, and whether it is bad for certain.
pub fn initramfs(bytes: &[u8]) -> Result<(), (String, bool)> {
    let told = |error: UnpackError| (error.to_string(), error.is_certain());
    initramfs::read(bytes, &mut Contents::default()).map_err(told)
}

/// Lines of the journal, and the record of a recovered boot: what is shown stands in them.
pub fn journal(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(found) = journal::parse(&text) {
        // JSON has escapes, and bytes in place of a text.
        let is_there = |part: &String| text.contains(part.as_str()) || text.contains(['\\', '[']);
        assert!(found.deployment.iter().chain(found.phases.iter().map(|phase| &phase.name)).all(is_there));
        let shown: usize = found.warnings.iter().chain(&found.errors).map(String::len).sum();
        // A byte that is not UTF-8 becomes a character of three.
        assert!(shown <= 3 * bytes.len());
    }
    let recovered = recovered(&text);
    for value in [&recovered.missing, &recovered.deployment, &recovered.reason] {
        assert!(!value.contains('\n') && text.contains(value.as_str()));
    }
}
