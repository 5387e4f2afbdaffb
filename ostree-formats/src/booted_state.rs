//! `/run/ostree-booted`: how this system was booted, for other programs.
//!
//! A GVariant `a{sv}`, little-endian on the supported architectures. Keys and their order are those of libostree 2026.4, so for the
//! same boot the file is equal byte for byte.

use serde::Serialize;

use crate::variant::reader::{Dictionary, boolean, text, two_numbers};
use crate::variant::{Damaged, writer};

/// A composefs root that was mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ComposefsState {
    /// Whether every object is checked against its digest when read.
    pub verity: bool,
    /// The key file that the commit's signature was verified with.
    pub signed_by: Option<String>,
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootedState {
    /// `st_dev` of the deployment directory on the physical root, before anything was mounted over it.
    pub device: u64,
    /// `st_ino` of the same.
    pub inode: u64,
    /// `/` has an upper layer that a reboot discards.
    pub root_transient: bool,
    /// The same, but mounted read-only.
    pub root_transient_ro: bool,
    /// Only with composefs.
    pub composefs: Option<ComposefsState>,
    /// `/sysroot` is read-only.
    pub sysroot_ro: bool,
    /// Only with `etc.transient`: the overlay's directory.
    pub transient_etc: Option<String>,
}

impl BootedState {
    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut entries = vec![
            ("backing-root-device-inode", Value::DeviceInode(self.device, self.inode)),
            ("root.transient", Value::Bool(self.root_transient || self.root_transient_ro)),
            ("root.transient-ro", Value::Bool(self.root_transient_ro)),
        ];
        if let Some(composefs) = &self.composefs {
            if let Some(key_file) = &composefs.signed_by {
                entries.push(("composefs.signed", Value::Text(key_file)));
            }
            entries.push(("composefs", Value::Bool(true)));
            entries.push(("composefs.verity", Value::Bool(composefs.verity)));
        }
        entries.push(("sysroot-ro", Value::Bool(self.sysroot_ro)));
        if let Some(directory) = &self.transient_etc {
            entries.push(("transient-etc", Value::Text(directory)));
        }
        writer::dictionary(entries.into_iter().map(|(key, value)| (key, value.to_bytes())))
    }
}

/// Why bytes are not a `/run/ostree-booted`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootedStateError {
    /// Incomplete, or of another type.
    #[error("it is incomplete, or not a GVariant of type a{{sv}}")]
    NotADictionary,
    /// A required key is missing, or has another type.
    #[error("the key {0:?} is missing, or its value has another type")]
    Missing(&'static str),
}

impl BootedState {
    /// Reads the bytes of the file. Keys may have any order, and unknown keys are ignored.
    ///
    /// `root.transient-ro` is newer than the other keys: false if it is missing.
    ///
    /// # Errors
    /// See [`BootedStateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BootedStateError> {
        let dictionary = Dictionary::new(bytes).map_err(|Damaged| BootedStateError::NotADictionary)?;
        let of_type = |key, kind| dictionary.get(key)?.of_type(kind);
        let boolean = |key: &'static str| boolean(of_type(key, "b")?).ok();
        let text = |key: &'static str| text(of_type(key, "s")?).ok().map(str::to_owned);
        const BACKING: &str = "backing-root-device-inode";
        let backing = of_type(BACKING, "(tt)").and_then(|pair| two_numbers(pair).ok());
        let (device, inode) = backing.ok_or(BootedStateError::Missing(BACKING))?;
        let root_transient_ro = boolean("root.transient-ro").unwrap_or(false);
        let root_transient = boolean("root.transient").ok_or(BootedStateError::Missing("root.transient"))?;
        let composefs = (boolean("composefs") == Some(true)).then(|| ComposefsState {
            verity: boolean("composefs.verity").unwrap_or(false),
            signed_by: text("composefs.signed"),
        });
        Ok(Self {
            device,
            inode,
            root_transient: root_transient && !root_transient_ro,
            root_transient_ro,
            composefs,
            sysroot_ro: boolean("sysroot-ro").ok_or(BootedStateError::Missing("sysroot-ro"))?,
            transient_etc: text("transient-etc"),
        })
    }
}

/// The keys that decide about mounts after the switch to the real root. Every key may be missing: libostree of before 2023 wrote none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountState {
    /// The root is an image.
    pub composefs: bool,
    /// `/sysroot` is read-only.
    pub sysroot_ro: bool,
    /// The directory of the overlay at `/etc`.
    pub transient_etc: Option<String>,
}

impl MountState {
    /// Reads the bytes of the file, which may be empty.
    ///
    /// # Errors
    /// [`BootedStateError::NotADictionary`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BootedStateError> {
        let dictionary = Dictionary::new(bytes).map_err(|Damaged| BootedStateError::NotADictionary)?;
        let is_on = |key| dictionary.get(key).and_then(|value| boolean(value.of_type("b")?).ok()) == Some(true);
        let transient_etc = dictionary.get("transient-etc").and_then(|value| text(value.of_type("s")?).ok());
        Ok(Self {
            composefs: is_on("composefs"),
            sysroot_ro: is_on("sysroot-ro"),
            transient_etc: transient_etc.map(str::to_owned),
        })
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Bool(bool),
    Text(&'a str),
    DeviceInode(u64, u64),
}

impl Value<'_> {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Value::Bool(on) => writer::value("b", &writer::boolean(on)),
            Value::Text(text) => writer::value("s", &writer::text_bytes(text)),
            Value::DeviceInode(device, inode) => {
                writer::value("(tt)", writer::two_numbers(device, inode).as_flattened())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Both written by GLib's own serializer.
    #[test]
    fn equal_to_glib_byte_for_byte() {
        let plain = BootedState {
            device: 65026,
            inode: 131_077,
            root_transient: false,
            root_transient_ro: false,
            composefs: None,
            sysroot_ro: true,
            transient_etc: None,
        };
        assert_eq!(
            hex(&plain.to_bytes()),
            "6261636b696e672d726f6f742d6465766963652d696e6f64650000000000000002fe000000000000050002000000000000287474291a\
             0000726f6f742e7472616e7369656e7400000000620f00000000726f6f742e7472616e7369656e742d726f0000000000000000006212\
             00000000737973726f6f742d726f0000000000000100620b364c6c84"
        );
        let everything = BootedState {
            device: 36,
            inode: (1 << 40) + 3,
            root_transient: false,
            root_transient_ro: true,
            composefs: Some(ComposefsState {
                verity: true,
                signed_by: Some("/etc/ostree/initramfs-root-binding.key".to_owned()),
            }),
            sysroot_ro: true,
            transient_etc: Some("/run/ostree/transient-etc.AB12CD".to_owned()),
        };
        assert_eq!(
            hex(&everything.to_bytes()),
            "6261636b696e672d726f6f742d6465766963652d696e6f6465000000000000002400000000000000030000000001000000287474291a\
             0000726f6f742e7472616e7369656e7400000100620f00000000726f6f742e7472616e7369656e742d726f0000000000000001006212\
             00000000636f6d706f736566732e7369676e656400000000000000002f6574632f6f73747265652f696e697472616d66732d726f6f74\
             2d62696e64696e672e6b657900007311000000000000636f6d706f73656673000000000000000100620a00000000636f6d706f736566\
             732e76657269747900000000000000000100621100000000737973726f6f742d726f0000000000000100620b000000007472616e7369\
             656e742d6574630000002f72756e2f6f73747265652f7472616e7369656e742d6574632e4142313243440000730e36004c006c00b200\
             cc00ec0004013c01"
        );
    }

    #[test]
    fn what_decides_about_mounts_may_be_missing() {
        assert_eq!(MountState::from_bytes(b""), Ok(MountState::default()));
        let state = BootedState {
            device: 1,
            inode: 2,
            root_transient: false,
            root_transient_ro: false,
            composefs: Some(ComposefsState { verity: false, signed_by: None }),
            sysroot_ro: true,
            transient_etc: Some("/run/x".to_owned()),
        };
        let read = MountState::from_bytes(&state.to_bytes()).unwrap();
        assert_eq!(read, MountState { composefs: true, sysroot_ro: true, transient_etc: Some("/run/x".to_owned()) });
        assert_eq!(MountState::from_bytes(b"garbage"), Err(BootedStateError::NotADictionary));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            device: u64, inode: u64, transient in 0..3u8, verity: bool, sysroot_ro: bool,
            signed_by in proptest::option::of("/[a-z/]{0,300}"),
            transient_etc in proptest::option::of("/run/[a-zA-Z0-9.]{0,20}"),
        ) {
            let state = BootedState {
                device,
                inode,
                root_transient: transient == 1,
                root_transient_ro: transient == 2,
                composefs: (transient > 0).then_some(ComposefsState { verity, signed_by }),
                sysroot_ro,
                transient_etc,
            };
            prop_assert_eq!(BootedState::from_bytes(&state.to_bytes()), Ok(state));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (BootedState::from_bytes(&bytes), MountState::from_bytes(&bytes));
        }

        #[test]
        fn no_damage_panics(at in 0..136usize, byte: u8, length in 0..137usize) {
            let state = BootedState {
                device: 1, inode: 2, root_transient: false, root_transient_ro: false, composefs: None, sysroot_ro: true,
                transient_etc: None,
            };
            let mut bytes = state.to_bytes();
            bytes[at] = byte;
            bytes.truncate(length);
            let _ = BootedState::from_bytes(&bytes);
        }
    }
}
