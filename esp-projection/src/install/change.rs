//! One change.

use std::fmt;

use crate::firmware::{self, Firmware};
use crate::plan::Step;

/// A change. Paths are relative to the root of the ESP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A step of a projection.
    Project(Step),
    /// Gives a file this content, durably.
    WriteFile {
        /// Its path.
        path: String,
        /// Its content.
        content: Vec<u8>,
    },
    /// Removes a file, durably.
    RemoveFile(String),
    /// Writes `/etc/ostree/esp.conf`, which is not there.
    WriteConfiguration,
    /// Removes it again.
    RemoveConfiguration,
    /// Gives a variable of the firmware this value.
    SetVariable {
        /// Its name, without the vendor.
        name: String,
        /// Its value, without the attributes.
        value: Vec<u8>,
        /// The value for people.
        what: String,
    },
    /// Removes a variable of the firmware.
    RemoveVariable(String),
}

impl Change {
    /// Sets `BootOrder`; an empty one cannot be written.
    pub(super) fn set_order(of: &Firmware, order: &[u16]) -> Self {
        let name = "BootOrder".to_owned();
        if order.is_empty() {
            return Self::RemoveVariable(name);
        }
        let shown: Vec<String> = order.iter().map(|number| of.shown(*number)).collect();
        Self::SetVariable { name, value: firmware::order(order), what: shown.join(", ") }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project(step) => step.fmt(f),
            Self::WriteFile { path, content } => write!(f, "write {path}: {} bytes", content.len()),
            Self::RemoveFile(path) => write!(f, "remove {path}"),
            Self::WriteConfiguration => f.write_str("write /etc/ostree/esp.conf: enabled=yes"),
            Self::RemoveConfiguration => f.write_str("remove /etc/ostree/esp.conf"),
            Self::SetVariable { name, what, .. } => write!(f, "set the EFI variable {name}: {what}"),
            Self::RemoveVariable(name) => write!(f, "remove the EFI variable {name}"),
        }
    }
}
