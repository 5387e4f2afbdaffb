//! The rooms of a crate: its folders, and which of them each may import from.
//!
//! What stands in no room (`lib.rs`, the story) may import everything, and no room may import it.

use std::path::Path;

use super::imports::Import;
use super::sources::Source;

/// A folder of `src`, with the file of the same name beside it, and the rooms that come before it.
struct Room {
    name: &'static str,
    may_import: &'static [&'static str],
}

/// The rooms of each crate that has some. The data goes from the first to the last.
const HOUSES: [(&str, &[Room]); 6] = [
    (
        "prepare-root",
        &[
            Room { name: "facts", may_import: &[] },
            Room { name: "read", may_import: &["facts"] },
            // Neither the disk nor anything that is open: a plan is made of values.
            Room { name: "plan", may_import: &["facts"] },
            Room { name: "failed", may_import: &["facts", "read", "plan"] },
            Room { name: "execute", may_import: &["facts", "read", "plan", "failed"] },
            Room { name: "verify", may_import: &["facts", "read", "plan", "failed"] },
        ],
    ),
    (
        "boot-list",
        &[
            Room { name: "plan", may_import: &[] },
            Room { name: "loader", may_import: &["plan", "execute", "watcher"] },
            // What a boot loader needs is done with the steps of this room, and room in /boot is made with its entries.
            Room { name: "execute", may_import: &["plan", "loader", "watcher"] },
        ],
    ),
    (
        "esp-projection",
        &[
            Room { name: "plan", may_import: &["list", "target", "assessment"] },
            Room { name: "select", may_import: &[] },
            Room { name: "firmware", may_import: &[] },
            Room { name: "install", may_import: &["target", "plan", "firmware"] },
            Room { name: "read", may_import: &["list", "target", "select", "firmware", "install"] },
            Room { name: "execute", may_import: &["list", "target", "plan", "install", "read"] },
        ],
    ),
    (
        "real-root",
        // Three programs: none needs anything of another one's.
        &[
            Room { name: "generator", may_import: &["status"] },
            Room { name: "remount", may_import: &["status"] },
            Room { name: "state_overlay", may_import: &["status"] },
        ],
    ),
    (
        "firstroot",
        &[
            Room { name: "initramfs", may_import: &[] },
            Room { name: "read", may_import: &["initramfs"] },
            Room { name: "show", may_import: &["exit_status"] },
            Room { name: "status", may_import: &["place", "read", "show", "exit_status"] },
            Room { name: "check", may_import: &["place", "read", "initramfs", "show", "exit_status"] },
            Room { name: "etc", may_import: &["place", "read", "show", "exit_status"] },
            Room { name: "repair", may_import: &["place", "read", "show", "exit_status"] },
            Room { name: "esp", may_import: &["place", "show", "exit_status"] },
        ],
    ),
    (
        "finalize-staged",
        &[
            Room { name: "read", may_import: &["error", "program"] },
            Room { name: "tell", may_import: &["finalization", "brief"] },
            Room { name: "etc_merge", may_import: &["error"] },
            Room { name: "policy", may_import: &["etc_merge"] },
            Room {
                name: "execute",
                may_import: &[
                    "read",
                    "tell",
                    "etc_merge",
                    "policy",
                    "finalization",
                    "brief",
                    "checks",
                    "error",
                    "program",
                ],
            },
        ],
    ),
];

/// Imports against the way of the data, and rooms that are not there.
pub(super) fn findings(crate_name: &str, sources: &[Source], imports: &[Import]) -> Vec<String> {
    let rooms = HOUSES.iter().find(|(name, _)| *name == crate_name).map_or(&[][..], |(_, rooms)| rooms);
    judge(rooms, sources.iter().map(|source| source.path.as_path()), imports)
}

fn judge<'a>(rooms: &[Room], files: impl Iterator<Item = &'a Path> + Clone, imports: &[Import]) -> Vec<String> {
    let is_empty = |room: &&Room| !files.clone().any(|file| room_of(file).as_deref() == Some(room.name));
    let empty = rooms.iter().filter(is_empty).map(|room| format!("there is no room src/{}", room.name));
    let against = imports.iter().filter_map(|import| {
        let room = room_of(&import.from).and_then(|name| rooms.iter().find(|room| room.name == name))?;
        let to = room_of(&import.to).unwrap_or_default();
        let may = to == room.name || room.may_import.contains(&to.as_str());
        let (from, line, path) = (import.from.display(), import.line, &import.path);
        let beside = if room.may_import.is_empty() { "no other".to_owned() } else { room.may_import.join(", ") };
        let which = format!("{} may import from {beside}", room.name);
        (!may).then(|| format!("{from}:{line} imports {path}: the room {which}"))
    });
    empty.chain(against).collect()
}

/// The first name below `src`, without `.rs`.
fn room_of(file: &Path) -> Option<String> {
    let below = file.strip_prefix("src").ok()?;
    Some(Path::new(below.components().next()?.as_os_str()).file_stem()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: [Room; 3] = [
        Room { name: "facts", may_import: &[] },
        Room { name: "plan", may_import: &["facts"] },
        Room { name: "execute", may_import: &["facts", "plan"] },
    ];

    fn findings(from: &str, to: &str) -> Vec<String> {
        let files = ["src/lib.rs", "src/boot.rs", "src/facts.rs", "src/plan.rs", "src/execute/undo.rs"].map(Path::new);
        let import = Import { from: from.into(), to: to.into(), line: 3, path: "crate::x".to_owned() };
        judge(&ROOMS, files.into_iter(), &[import])
    }

    #[test]
    fn the_data_goes_one_way() {
        for (from, to) in [
            ("src/plan.rs", "src/facts.rs"),
            ("src/plan/step.rs", "src/facts/caller.rs"),
            ("src/execute/undo.rs", "src/execute.rs"),
            ("src/execute.rs", "src/plan/step.rs"),
            ("src/boot.rs", "src/execute.rs"),
            ("src/lib.rs", "src/boot.rs"),
        ] {
            assert_eq!(findings(from, to), [""; 0]);
        }
        for (from, to) in [
            ("src/facts.rs", "src/plan/step.rs"),
            ("src/plan/step.rs", "src/execute.rs"),
            ("src/plan.rs", "src/boot.rs"),
            ("src/execute.rs", "src/lib.rs"),
        ] {
            let [finding] = &findings(from, to)[..] else { panic!("{from} to {to}") };
            assert!(finding.starts_with(&format!("{from}:3 imports crate::x: the room ")), "{finding}");
        }
    }

    #[test]
    fn a_room_that_was_renamed_is_missed() {
        let files = ["src/facts.rs", "src/plan.rs"].map(Path::new);
        assert_eq!(judge(&ROOMS, files.into_iter(), &[]), ["there is no room src/execute"]);
    }
}
