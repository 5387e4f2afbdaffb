//! For tests only, behind the feature `sabotage`: leaves out a step of those that make a file survive a power cut. So the tests of power
//! cuts can show that they fail.

/// Whether the environment requests this sabotage.
#[cfg(feature = "sabotage")]
pub(super) fn is_on(what: &str) -> bool {
    std::env::var("FIRSTROOT_SABOTAGE").is_ok_and(|wanted| wanted == what)
}

/// Never, in a shipped program.
#[cfg(not(feature = "sabotage"))]
pub(super) fn is_on(_: &str) -> bool {
    false
}
