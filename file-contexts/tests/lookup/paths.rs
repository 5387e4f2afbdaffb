//! Paths as they are given, and substitutions.

use file_contexts::Texts;

use crate::policies::{bytes_letter, letter, parsed, policy, spelled};

#[test]
fn separators_do_not_count() {
    let contexts = policy("/ A\n/a B\n/a/b C\n/a/b/.+ D");
    for (path, wanted) in [
        ("/", "a"),
        ("//", "a"),
        ("/a", "b"),
        ("/a/", "b"),
        ("//a", "b"),
        ("/a//b", "c"),
        ("/a/b//", "c"),
        ("//a///b/c/", "d"),
    ] {
        assert_eq!(letter(&contexts, path, None), wanted, "{path}");
    }
}

#[test]
fn what_is_no_path_has_no_label() {
    let contexts = policy("/.* A\n.* B");
    assert_eq!(letter(&contexts, "", None), "-");
    assert_eq!(letter(&contexts, "/a\0b", None), "-");
    assert_eq!(letter(&contexts, &format!("/{}", "a".repeat(5000)), None), "-");
    assert_eq!(letter(&contexts, "relative", None), "b");
}

#[test]
fn bytes_above_127_are_one_character_each() {
    let contexts = policy("/.* A\n/a. B\n/b[^/] C\n/c\\xe9 D");
    assert_eq!(bytes_letter(&contexts, b"/a\xff", None), "b");
    assert_eq!(bytes_letter(&contexts, "/aé".as_bytes(), None), "a");
    assert_eq!(bytes_letter(&contexts, b"/b\xe9", None), "c");
    assert_eq!(bytes_letter(&contexts, b"/c\xe9", None), "d");
}

#[test]
fn local_substitutions_come_first_and_then_those_of_the_distribution() {
    let contexts = spelled("/.* A\n/usr/lib/.* B\n/srv/x C\n/home/.* D");
    let texts = Texts {
        contexts: contexts.as_bytes(),
        subs: Some(b"/lib64 /lib\n/data /srv\n/data/home /home\n"),
        subs_dist: Some(b"/lib /usr/lib\n/sysroot /\n"),
        ..Texts::default()
    };
    let contexts = parsed(texts);
    for (path, wanted) in [
        ("/lib64/x", "b"),
        ("/lib/x", "b"),
        ("/lib/x/", "b"),
        ("/data/x", "c"),
        ("/data/home/u", "d"),
        ("/sysroot/srv/x", "c"),
        ("/sysroot", "a"),
        ("/library/x", "a"),
    ] {
        assert_eq!(letter(&contexts, path, None), wanted, "{path}");
    }
}

#[test]
fn directories_that_a_line_begins_with_must_be_there() {
    // As for libselinux, which looks for the line below /var.
    let contexts = policy("/var/?x A\n/opt/(a/)?b B\n/srv/a\\.b/c* C");
    assert_eq!(letter(&contexts, "/var/x", None), "a");
    assert_eq!(letter(&contexts, "/varx", None), "-");
    assert_eq!(letter(&contexts, "/opt/b", None), "b");
    assert_eq!(letter(&contexts, "/opt/a/b", None), "b");
    assert_eq!(letter(&contexts, "/srv/a.b/cc", None), "c");
    assert_eq!(letter(&contexts, "/srv/axb/cc", None), "-");
}

#[test]
fn what_is_deep_is_found() {
    let contexts = policy("/a/b/c/d/e/f.* A\n/a/b/c/d/e/g B\n/a/b.* C");
    assert_eq!(letter(&contexts, "/a/b/c/d/e/g", None), "b");
    let contexts = policy("/a/b.* C\n/a/b/c/d/e/f.* A");
    assert_eq!(letter(&contexts, "/a/b/c/d/e/fx/y", None), "a");
    assert_eq!(letter(&contexts, "/a/b/c/d/x", None), "c");
}
