//! What is restored of what the comparison does not list, and what takes the place of a directory.

use std::fs;
use std::path::Path;

use super::*;

fn tree(path: &Path) -> Tree {
    fs::create_dir_all(path).unwrap();
    let deployment = format!("ostree/deploy/os/deploy/{}.0", "1".repeat(64)).parse().unwrap();
    Tree { deployment, path: path.to_owned(), directory: fs::File::open(path).unwrap().into() }
}

fn restored(vendor: &Tree, machine: &Tree, path: &str) -> Option<String> {
    restored_with(vendor, machine, path, true)
}

fn restored_with(vendor: &Tree, machine: &Tree, path: &str, discard: bool) -> Option<String> {
    let labels = Labels::of(&machine.directory, None).unwrap();
    let how = How { staged: false, discard, json: false };
    Restore { vendor, machine, how, labels, copier: Copier::default(), passed: Vec::new() }
        .one(OsStr::new(path))
        .unwrap()
}

#[test]
fn special_files_that_are_left_alone_are_named() {
    let root = tempfile::tempdir().unwrap();
    let (vendor, machine) = (tree(&root.path().join("vendor")), tree(&root.path().join("etc")));
    let pipe = |tree: &Tree, path: &str| {
        rustix::fs::mknodat(&tree.directory, path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    };
    for tree in [&vendor, &machine] {
        fs::create_dir_all(tree.path.join("d/e")).unwrap();
        pipe(tree, "d/e/pipe");
    }
    let _socket = std::os::unix::net::UnixListener::bind(machine.path.join("d/socket")).unwrap();
    pipe(&machine, "other");
    let named = |all: &[Special]| all.iter().map(|one| format!("{} {}", one.path, one.kind)).collect::<Vec<_>>();
    let found = special::below(&machine, OsStr::new("d")).unwrap();
    assert_eq!(named(&found), ["/etc/d/e/pipe fifo", "/etc/d/socket socket"]);
    for path in ["other", "nothing", "other/x"] {
        assert_eq!(special::below(&machine, OsStr::new(path)), Ok(Vec::new()), "{path}");
    }
    // Of a directory that was removed as a whole.
    fs::remove_dir_all(machine.path.join("d")).unwrap();
    let how = How { staged: false, discard: false, json: false };
    let labels = Labels::of(&machine.directory, None).unwrap();
    let (vendor, machine) = (&vendor, &machine);
    let mut work = Restore { vendor, machine, how, labels, copier: Copier::default(), passed: Vec::new() };
    work.one(OsStr::new("d")).unwrap();
    assert_eq!(named(&work.passed), ["/etc/d/e/pipe fifo"]);
    assert!(machine.path.join("d/e").is_dir() && !machine.path.join("d/e/pipe").exists());
}

#[test]
fn a_file_of_a_removed_directory_is_not_as_shipped() {
    let root = tempfile::tempdir().unwrap();
    let (vendor, machine) = (tree(&root.path().join("vendor")), tree(&root.path().join("etc")));
    fs::create_dir(vendor.path.join("d")).unwrap();
    fs::write(vendor.path.join("d/a"), "a").unwrap();
    fs::write(vendor.path.join("pipe"), "a").unwrap();
    rustix::fs::mknodat(&machine.directory, "pipe", rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let change =
        |path: &str| unlisted::item(&vendor, &machine, OsStr::new(path)).map(|item| item.map(|item| item.change));
    assert_eq!(change("d/a"), Ok(Some(Change::Removed)));
    assert_eq!(change("pipe"), Ok(Some(Change::Modified)));
    assert!(change("d/typo").is_err_and(|error| error.contains("/etc/d/typo is neither shipped")));
    for path in ["d/a", "pipe"] {
        restored(&vendor, &machine, path);
        assert_eq!(change(path), Ok(None));
        assert_eq!(fs::read(machine.path.join(path)).unwrap(), b"a");
    }
}

#[test]
fn a_discarded_directory_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (vendor, machine) = (tree(&root.path().join("vendor")), tree(&root.path().join("etc")));
    fs::write(vendor.path.join("a"), "a").unwrap();
    fs::create_dir_all(machine.path.join("a/b")).unwrap();
    assert_eq!(restored(&vendor, &machine, "a"), None);
    assert_eq!(fs::read(machine.path.join("a")).unwrap(), b"a");
    assert_eq!(fs::read_dir(&machine.path).unwrap().count(), 1);
}

#[test]
fn a_directory_takes_the_place_of_a_file() {
    for discard in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let (vendor, machine) = (tree(&root.path().join("vendor")), tree(&root.path().join("etc")));
        fs::create_dir_all(vendor.path.join("a/b")).unwrap();
        fs::write(machine.path.join("a"), "mine").unwrap();
        let saved = restored_with(&vendor, &machine, "a", discard);
        assert!(machine.path.join("a/b").is_dir());
        assert_eq!(saved.as_deref(), (!discard).then_some("/etc/a.saved"));
        assert_eq!(fs::read(machine.path.join("a.saved")).ok().as_deref(), (!discard).then_some(&b"mine"[..]));
    }
}
