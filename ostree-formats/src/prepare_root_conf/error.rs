use crate::keyfile::KeyfileError;

/// One thing that makes a configuration unusable: file and reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ConfError {
    /// The file.
    pub path: String,
    /// The reason.
    pub problem: Problem,
}

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not a key file.
    #[error(transparent)]
    Syntax(KeyfileError),
    /// An invalid value.
    #[error("line {line}: [{group}] {key} = {value:?}: the value must be {expected}")]
    Value {
        /// From 1.
        line: usize,
        /// Group.
        group: &'static str,
        /// Key.
        key: &'static str,
        /// The value in the file.
        value: String,
        /// The valid values.
        expected: &'static str,
    },
    /// A libostree key in a drop-in, which libostree does not read.
    #[error(
        "line {line}: [{group}] {key} is a libostree key, and libostree reads no drop-ins: set it in prepare-root.conf"
    )]
    LibostreeKeyInDropIn {
        /// From 1.
        line: usize,
        /// Group.
        group: &'static str,
        /// Key.
        key: &'static str,
    },
    /// Mutually exclusive keys.
    #[error("[root] transient and [root] transient-ro are both true; set only one")]
    BothTransient,
    /// The file exists but cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}
