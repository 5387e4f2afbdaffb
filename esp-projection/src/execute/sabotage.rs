//! Whether a test wants the order to be broken, so that it can be seen to notice.

#[cfg(feature = "sabotage")]
pub(super) fn is_on(what: &str) -> bool {
    std::env::var("FIRSTROOT_SABOTAGE").is_ok_and(|wanted| wanted == what)
}

#[cfg(not(feature = "sabotage"))]
pub(super) fn is_on(_what: &str) -> bool {
    false
}
