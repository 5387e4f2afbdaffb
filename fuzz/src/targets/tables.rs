//! Tables of the kernel's, what a tree calls itself, and the order of versions.

use std::cmp::Ordering;
use std::os::unix::ffi::OsStrExt;

use ostree_formats::mountinfo::{self, MountEntry};
use ostree_formats::os_release::OsRelease;
use ostree_formats::version_order::strverscmp;

/// `/proc/self/mountinfo`: written as the kernel writes it, it is read as the same.
pub(super) fn mountinfo(bytes: &[u8]) {
    let mounts = mountinfo::parse(bytes);
    let written: Vec<u8> = mounts.iter().flat_map(line).collect();
    assert_eq!(mountinfo::parse(&written), mounts);
    prepare_root::fuzzing::mount_table(bytes);
    finalize_staged::fuzzing::mount_table(bytes);
}

fn line(mount: &MountEntry) -> Vec<u8> {
    let escape = |name: &[u8]| -> Vec<u8> {
        let byte = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            _ => vec![*byte],
        };
        name.iter().flat_map(byte).collect()
    };
    let number = |number: u64| number.to_string().into_bytes();
    let fields = [
        number(mount.id),
        number(mount.parent),
        b"8:1".to_vec(),
        escape(mount.root.as_os_str().as_bytes()),
        escape(mount.target.as_os_str().as_bytes()),
        mount.options.clone().into_bytes(),
    ];
    let propagation = mount.propagation.iter().map(|field| field.clone().into_bytes());
    let behind = [
        b"-".to_vec(),
        mount.fstype.clone().into_bytes(),
        escape(mount.source.as_bytes()),
        mount.super_options.clone().into_bytes(),
    ];
    let fields: Vec<Vec<u8>> = fields.into_iter().chain(propagation).chain(behind).collect();
    [fields.join(&b' '), b"\n".to_vec()].concat()
}

/// os-release: a name that is quoted as a shell wants it is read as itself.
pub(super) fn os_release(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found = OsRelease::parse(&text);
    assert!(found.title().is_none_or(|title| title.len() <= text.len() && !title.contains('\n')));
    let Some(title) = found.title() else { return };
    let quoted: String =
        title.chars().flat_map(|c| [matches!(c, '"' | '\\' | '$' | '`').then_some('\\'), Some(c)]).flatten().collect();
    let again = OsRelease::parse(&format!("ID=x\nPRETTY_NAME=\"{quoted}\"\n"));
    assert_eq!(again.title(), Some(title));
}

/// Three texts, apart by NUL bytes: an order, and that of the C library.
pub(super) fn version_order(bytes: &[u8]) {
    let mut texts = bytes.splitn(3, |byte| *byte == 0).map(|text| String::from_utf8_lossy(text).replace('\0', " "));
    let mut next = || texts.next().unwrap_or_default();
    let (a, b, c) = (next(), next(), next());
    for (one, other) in [(&a, &b), (&b, &c), (&a, &c)] {
        let order = strverscmp(one, other);
        assert_eq!(order.reverse(), strverscmp(other, one));
        assert_eq!(order == Ordering::Equal, one == other);
        assert_eq!(Some(order), c_library::order(one, other), "{one:?} and {other:?}");
    }
}

#[allow(unsafe_code, reason = "the function of the C library is one of C's")]
mod c_library {
    use std::cmp::Ordering;
    use std::ffi::{CString, c_char, c_int};

    // SAFETY: as strverscmp(3) declares it.
    unsafe extern "C" {
        fn strverscmp(one: *const c_char, other: *const c_char) -> c_int;
    }

    pub(super) fn order(one: &str, other: &str) -> Option<Ordering> {
        let (one, other) = (CString::new(one).ok()?, CString::new(other).ok()?);
        // SAFETY: both are texts that end in a zero, and live on.
        Some(unsafe { strverscmp(one.as_ptr(), other.as_ptr()) }.cmp(&0))
    }
}
