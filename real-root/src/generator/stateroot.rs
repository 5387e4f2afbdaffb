//! The stateroot of the booted deployment, by the text of a path. The disk is not asked: the physical root's `/boot` may not be
//! mounted yet.

use ostree_formats::deployment::Stateroot;

/// The stateroot in `ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL`, or in `ostree/deploy/STATEROOT/…`; slashes at the beginning and at
/// the end do not count. `None`: it is none of the two, or the name of the stateroot cannot stand in a unit.
pub(super) fn in_path(path: &str) -> Option<Stateroot> {
    let path = path.trim_matches('/');
    let mut names = path.strip_prefix("ostree/")?.split('/');
    let (place, stateroot, third) = (names.next()?, names.next()?, names.next()?);
    let rest: [Option<&str>; 2] = [names.next(), names.next()];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = match (place, rest) {
        ("boot.0" | "boot.1", [Some(serial), None]) => is_number(serial) && !third.is_empty(),
        ("deploy", _) => true,
        _ => false,
    };
    stateroot.parse().ok().filter(|stateroot: &Stateroot| is_known && !stateroot.as_str().contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::in_path;
    use proptest::prelude::*;

    fn found(path: &str) -> Option<String> {
        in_path(path).map(|stateroot| stateroot.as_str().to_owned())
    }

    #[test]
    fn boot_links_and_deployments_name_it() {
        for path in [
            "/ostree/boot.0/os/0123/0",
            "/ostree/boot.1/os/x/12",
            "ostree/boot.1/os/x/0/",
            "/ostree/deploy/os/deploy/0123.0",
        ] {
            assert_eq!(found(path).as_deref(), Some("os"), "{path}");
        }
        assert_eq!(found("/ostree/boot.1/a b%/x/0").as_deref(), Some("a b%"));
    }

    #[test]
    fn nothing_else_does() {
        for path in [
            "",
            "/",
            "/ostree",
            "/ostree/boot.2/os/x/0",
            "/ostree/boot.0/os/x",
            "/ostree/boot.0/os/x/y",
            "/ostree/boot.0/os//0",
            "/ostree/boot.0/os/x/0/0",
            "/ostree/boot.0//x/0",
            "/ostree/boot.0/../x/0",
            "/ostree/boot.0/o\ns/x/0",
            "/ostree/deploy/os",
            "/x/ostree/boot.0/os/x/0",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(path in ".*") {
            let _ = in_path(&path);
        }
    }
}
