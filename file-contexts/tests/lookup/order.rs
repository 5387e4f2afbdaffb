//! Which of several lines wins.

use file_contexts::{FileKind, Texts};

use crate::policies::{letter, parsed, policy, spelled};

#[test]
fn the_last_regex_wins() {
    let contexts = policy("/.* A\n/usr/.* B\n/usr/bin/.* C\n/u.* D\n/usr/share/.* E");
    for (path, wanted) in [
        ("/etc", "a"),
        ("/usr", "d"),
        ("/usr/lib/x", "d"),
        ("/usr/bin/x", "d"),
        ("/usr/share/x", "e"),
        ("/usr/share", "d"),
    ] {
        assert_eq!(letter(&contexts, path, None), wanted, "{path}");
    }
}

#[test]
fn a_literal_beats_every_regex() {
    let contexts = policy("/etc/x\\.y A\n/etc/.* B\n/.* C");
    assert_eq!(letter(&contexts, "/etc/x.y", None), "a");
    assert_eq!(letter(&contexts, "/etc/xzy", None), "c");
}

#[test]
fn of_two_literals_the_last_one_wins() {
    assert_eq!(letter(&policy("/a A\n/a B"), "/a", None), "b");
    let contexts = policy("/a -- A\n/a -d B");
    assert_eq!(letter(&contexts, "/a", Some(FileKind::File)), "a");
    assert_eq!(letter(&contexts, "/a", Some(FileKind::Directory)), "b");
    assert_eq!(letter(&contexts, "/a", None), "b");
}

#[test]
fn later_files_win() {
    let (contexts, homedirs, local) = (spelled("/a/.* A\n/b B"), spelled("/a/x.* C\n/b D"), spelled("/a/xy.* E\n/b F"));
    let texts = Texts { contexts: contexts.as_bytes(), homedirs: Some(homedirs.as_bytes()), ..Texts::default() };
    let two = parsed(texts);
    let three = parsed(Texts { local: Some(local.as_bytes()), ..texts });
    for (path, of_two, of_three) in [("/a/z", "a", "a"), ("/a/xz", "c", "c"), ("/a/xy", "c", "e"), ("/b", "d", "f")] {
        assert_eq!(letter(&two, path, None), of_two, "{path}");
        assert_eq!(letter(&three, path, None), of_three, "{path}");
    }
}

#[test]
fn kinds() {
    let contexts = policy("/.* A\n/d.* -d B\n/d.* -l C\n/d.* -- D\n/d.* -c E\n/d.* -b F\n/d.* -p G\n/d.* -s H");
    for (kind, wanted) in [
        (FileKind::Directory, "b"),
        (FileKind::Link, "c"),
        (FileKind::File, "d"),
        (FileKind::CharacterDevice, "e"),
        (FileKind::BlockDevice, "f"),
        (FileKind::Fifo, "g"),
        (FileKind::Socket, "h"),
    ] {
        assert_eq!(letter(&contexts, "/dev", Some(kind)), wanted);
        assert_eq!(letter(&contexts, "/e", Some(kind)), "a");
    }
    assert_eq!(letter(&contexts, "/dev", None), "h");
}

#[test]
fn none_is_no_label() {
    let contexts = policy("/.* A\n/proc/.* <<none>>\n/proc/x B\n/sys <<none>>");
    assert_eq!(letter(&contexts, "/proc/1", None), "-");
    assert_eq!(letter(&contexts, "/proc/x", None), "b");
    assert_eq!(letter(&contexts, "/sys", None), "-");
    assert_eq!(letter(&contexts, "/proc", None), "a");
}

#[test]
fn nothing_matches() {
    assert_eq!(letter(&policy(""), "/a", None), "-");
    assert_eq!(letter(&policy("/b A\n/c/.* B"), "/a", None), "-");
}
