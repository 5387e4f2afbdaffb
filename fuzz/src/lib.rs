//! What is true of every parser, whatever bytes it is given: for libFuzzer (`cargo xtask fuzz`), and for tests that replay what it found.
//!
//! See `README.md` for how.

pub mod bounds;
pub mod corpus;
pub mod memory;
pub mod targets;
