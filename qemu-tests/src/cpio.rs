//! Archives that the kernel unpacks as an initramfs: the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::fmt::Write;
use std::path::{Component, Path};

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive in the making. Directories above an entry are made of themselves.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directories: Vec<String>,
    entries: u32,
}

impl Archive {
    /// An empty archive.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(mut self, path: &str) -> Archive {
        self.make_directory(path);
        self
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(mut self, path: &str, permissions: u32, content: &[u8]) -> Archive {
        self.make_parents(path);
        self.entry(path, FILE | permissions, (0, 0), content);
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Archive {
        self.make_parents(path);
        self.entry(path, LINK, (0, 0), target.as_bytes());
        self
    }

    /// Adds a character device.
    #[must_use]
    pub fn character_device(mut self, path: &str, major: u32, minor: u32) -> Archive {
        self.make_parents(path);
        self.entry(path, CHARACTER_DEVICE, (major, minor), b"");
        self
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }

    fn make_parents(&mut self, path: &str) {
        if let Some(parent) = Path::new(path).parent().and_then(Path::to_str) {
            self.make_directory(parent);
        }
    }

    fn make_directory(&mut self, path: &str) {
        let mut made = String::new();
        for component in Path::new(path).components() {
            let Component::Normal(name) = component else { continue };
            if !made.is_empty() {
                made.push('/');
            }
            made.push_str(&name.to_string_lossy());
            if !self.directories.contains(&made) {
                self.directories.push(made.clone());
                self.entry(&made, DIRECTORY, (0, 0), b"");
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        let path = path.trim_start_matches('/');
        self.entries += 1;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0,
            0,
            device.0,
            device.1,
            u32::try_from(path.len()).unwrap_or(u32::MAX).saturating_add(1),
            0,
        ];
        let mut header = String::from("070701");
        for field in fields {
            // Writing to a string cannot fail.
            let _ = write!(header, "{field:08x}");
        }
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        pad(&mut self.bytes);
        self.bytes.extend_from_slice(content);
        pad(&mut self.bytes);
    }
}

/// Makes an archive's end a place where another one can be appended; its files then win.
pub(crate) fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents, read by the format's description.
    fn entries(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while bytes.starts_with(b"070701") {
            let field = |n: usize| u32::from_str_radix(std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap(), 16);
            let (mode, size, name_size) = (field(1).unwrap(), field(6).unwrap() as usize, field(11).unwrap() as usize);
            let content = (110 + name_size).next_multiple_of(4);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            entries.push((name, mode, bytes[content..content + size].to_vec()));
            bytes = &bytes[(content + size).next_multiple_of(4)..];
        }
        assert!(bytes.is_empty());
        entries
    }

    #[test]
    fn what_goes_in_comes_out() {
        let archive = Archive::new().file("/etc/a.conf", 0o644, b"hello").link("lib", "usr/lib").finish();
        let entry = |name: &str, mode, content: &[u8]| (name.to_owned(), mode, content.to_vec());
        assert_eq!(
            entries(&archive),
            [
                entry("etc", 0o040_755, b""),
                entry("etc/a.conf", 0o100_644, b"hello"),
                entry("lib", 0o120_777, b"usr/lib"),
                entry("TRAILER!!!", 0, b""),
            ]
        );
    }
}
