//! How thinly the tests sample that disturb a run at one call after the other.

/// Makes them disturb it at every call, and tell the stories that are near to another one: `cargo xtask test --all`.
const VARIABLE: &str = "FIRSTROOT_EVERY_CALL";

/// Whether every call is wanted, and not a sample that is the same each time.
pub fn every_call_is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}
