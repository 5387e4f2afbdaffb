//! Files and links that will be written: values.

use serde::Serialize;

/// A file in `loader.N`, or a boot link in `ostree/boot.N.S`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Relative to that directory.
    pub path: String,
    /// Content, or the link's target.
    pub content: String,
}
