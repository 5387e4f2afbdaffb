//! Properties of this crate's parsers that hold for all bytes. Not in the shipped program.

/// The text of a path that names a stateroot: the unit that is made of it has one line for it, which leads nowhere else.
pub fn stateroot(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Some((stateroot, unit)) = crate::generator::var_mount_of(text) else { return };
    assert!(text.contains(&stateroot) && !stateroot.contains('/') && !matches!(stateroot.as_str(), "" | "." | ".."));
    let what: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("What=")).collect();
    assert_eq!(what.len(), 1);
    let path = what.concat().replace("%%", "%");
    assert_eq!(path, format!("/sysroot/ostree/deploy/{stateroot}/var"));
    assert_eq!(unit.lines().count(), 15);
}
