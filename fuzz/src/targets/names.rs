//! Names: of deployments, links, entries and directories.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ostree_formats::bootlink::{Bootcsum, Bootlink, by_text};
use ostree_formats::deployment::{Checksum, DeploymentId, DeploymentPath, Stateroot};
use ostree_formats::entry_name::EntryName;

use super::is_printable;

/// A name prints as it was read, but for slashes around it.
pub(super) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    link(&text);
    is_the_same::<Checksum>(&text, &text);
    is_the_same::<Bootcsum>(&text, &text);
    is_the_same::<Stateroot>(&text, &text);
    is_the_same::<DeploymentId>(&text, &text);
    is_the_same::<DeploymentPath>(&text, text.trim_start_matches('/'));
    is_the_same::<EntryName>(&text, &text);
    if let Some(link) = is_the_same::<Bootlink>(&text, text.trim_matches('/')) {
        assert_ne!(link.under_other_bootversion(), link);
        assert_eq!(link.under_other_bootversion().under_other_bootversion(), link);
    }
    finalize_staged::fuzzing::directory_name(&text);
}

/// The path and the text of a link, separated by a NUL byte: the resolved path has no `.` and no `..`.
fn link(text: &str) {
    let (path, target) = text.split_once('\0').unwrap_or(("ostree/root.a", text));
    let led_to = by_text(path, target);
    assert!(led_to.is_empty() || led_to.split('/').all(|name| !matches!(name, "" | "." | "..")));
    assert_eq!(by_text("", &led_to), led_to);
}

fn is_the_same<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str, printed: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(name) => {
            assert_eq!(name.to_string(), printed);
            assert!(
                name.to_string().parse::<T>().is_ok_and(|again| again == name),
                "{name:?} is another one when read again"
            );
            Some(name)
        }
        Err(error) => {
            is_printable(&error, text.as_bytes());
            None
        }
    }
}
