//! Whole machines.

fn main() {}
