//! The inputs that are kept: real files, and what fuzzing has found.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::targets::Target;

/// Where those of a target are.
pub fn directory(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// All of them, by name.
///
/// # Errors
/// As reading files.
pub fn inputs(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory(target))? {
        let entry = entry?;
        inputs.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    inputs.sort();
    Ok(inputs)
}
