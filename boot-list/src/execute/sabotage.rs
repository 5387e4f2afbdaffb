//! For tests alone, behind the feature `sabotage`: leaves out or breaks one of the things that make an update survive a power cut,
//! so that a test of power cuts can be seen to fail.

/// Whether the environment asks for this one.
#[cfg(feature = "sabotage")]
pub fn is_on(what: &str) -> bool {
    std::env::var("FIRSTROOT_SABOTAGE").is_ok_and(|wanted| wanted == what)
}

/// Never, in what ships.
#[cfg(not(feature = "sabotage"))]
pub fn is_on(_: &str) -> bool {
    false
}
