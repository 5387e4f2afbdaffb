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
    /// No key file at all.
    #[error(transparent)]
    Syntax(KeyfileError),
    /// A value that its key does not have.
    #[error("line {line}: [{group}] {key} = {value:?} is not {expected}")]
    Value {
        /// From 1.
        line: usize,
        /// Group.
        group: &'static str,
        /// Key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A key of libostree's where only we would read it.
    #[error(
        "line {line}: [{group}] {key} is a key of libostree's, which reads no drop-ins: set it in prepare-root.conf itself"
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
    #[error("[root] transient and [root] transient-ro are both true; they exclude each other")]
    BothTransient,
    /// The file is there and cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}
