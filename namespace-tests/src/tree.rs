//! What a directory tree holds, as text: to see that nothing was created on it.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

/// Every path below `root` with type and mode, sorted; links with their target. What is mounted below it is left out.
pub fn listing(root: &Path) -> Result<String> {
    let mut lines = Vec::new();
    walk(root, root, &mut lines)?;
    lines.sort();
    Ok(lines.join("\n"))
}

fn walk(root: &Path, directory: &Path, lines: &mut Vec<String>) -> Result<()> {
    let device = directory.metadata()?.dev();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        let kind = match metadata.file_type() {
            t if t.is_dir() => "directory".to_owned(),
            t if t.is_symlink() => format!("link to {}", std::fs::read_link(&path)?.display()),
            t if t.is_fifo() => "fifo".to_owned(),
            _ => format!("file of {} bytes", metadata.len()),
        };
        let mode = metadata.permissions().mode() & 0o7777;
        lines.push(format!("{} {kind} {mode:04o}", path.strip_prefix(root)?.display()));
        if metadata.is_dir() && metadata.dev() == device {
            walk(root, &path, lines)?;
        }
    }
    Ok(())
}
