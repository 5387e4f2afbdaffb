//! `/proc/self/mountinfo`, as proc_pid_mountinfo(5) describes it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Unique among the mounts that exist now.
    pub id: u64,
    /// The mount it is mounted on.
    pub parent: u64,
    /// The directory of its filesystem that is its root.
    pub root: PathBuf,
    /// Where, seen from the reader's root directory.
    pub target: PathBuf,
    /// Options of the mount, comma-separated.
    pub options: String,
    /// Propagation: `shared:N`, `master:N` and the like.
    pub propagation: Vec<String>,
    /// Filesystem type.
    pub fstype: String,
    /// What was mounted.
    pub source: OsString,
    /// Options of the filesystem, comma-separated.
    pub super_options: String,
}

/// All mounts in `bytes`, in their order. A line of another form is skipped, because a kernel that adds fields must not stop a
/// boot.
pub fn parse(bytes: &[u8]) -> Vec<MountEntry> {
    bytes.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|b| *b == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let _device = fields.next()?;
    let root = path(fields.next()?);
    let target = path(fields.next()?);
    let options = text(fields.next()?);
    let propagation = fields.by_ref().take_while(|f| *f != b"-").map(text).collect();
    Some(MountEntry {
        id,
        parent,
        root,
        target,
        options,
        propagation,
        fstype: text(fields.next()?),
        source: path(fields.next()?).into_os_string(),
        super_options: text(fields.next()?),
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Undoes the kernel's escapes (`\040` for a space and so on).
fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field).into_owned()))
}

fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    if !field.contains(&b'\\') {
        return Cow::Borrowed(field);
    }
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\').then(|| after.get(..3)).flatten();
        match octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_a_real_table() {
        let line =
            b"36 25 0:31 /root/ostree /sys\\040root rw,relatime shared:2 master:1 - btrfs /dev/vda3 rw,subvol=/root\n";
        let entries = parse(line);
        let entry = entries.first().unwrap();
        assert_eq!((entry.id, entry.parent), (36, 25));
        assert_eq!(entry.root, PathBuf::from("/root/ostree"));
        assert_eq!(entry.target, PathBuf::from("/sys root"));
        assert_eq!(entry.propagation, ["shared:2", "master:1"]);
        assert_eq!(entry.fstype, "btrfs");
        assert_eq!(entry.super_options, "rw,subvol=/root");
    }

    #[test]
    fn a_line_that_is_cut_short_is_left_out() {
        assert_eq!(parse(b"36 25 0:31 / / rw - ext4\n36\n\n"), []);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn escapes_are_undone(raw in proptest::collection::vec(1u8.., 0..20)) {
            let escaped: Vec<u8> = raw.iter().flat_map(|b| format!("\\{b:03o}").into_bytes()).collect();
            prop_assert_eq!(unescape(&escaped).into_owned(), raw);
        }
    }
}
