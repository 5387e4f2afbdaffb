//! The whole merge on real directories: scanned, planned, executed. Needs no root, as long as owners do not differ.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::OFlags;
use system::dir;

use super::execute;
use super::known::Known;
use super::plan::{self, EtcMergePlan};
use super::scan::{self, Trees};

/// What is in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(u8),
    Link(u8),
    Directory(BTreeMap<String, Node>),
}

impl Node {
    fn is_directory(&self) -> bool {
        matches!(self, Node::Directory(_))
    }
}

fn write(path: &Path, node: &Node) {
    match node {
        Node::File(content) => fs::write(path, [*content]).unwrap(),
        Node::Link(target) => symlink(format!("/target-{target}"), path).unwrap(),
        Node::Directory(entries) => {
            fs::create_dir_all(path).unwrap();
            entries.iter().for_each(|(name, node)| write(&path.join(name), node));
        }
    }
}

fn read(path: &Path) -> Node {
    let metadata = path.symlink_metadata().unwrap();
    if metadata.is_symlink() {
        let target = fs::read_link(path).unwrap().display().to_string();
        Node::Link(target.trim_start_matches("/target-").parse().unwrap())
    } else if metadata.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), read(&entry.path()))
        });
        Node::Directory(entries.collect())
    } else {
        Node::File(fs::read(path).unwrap()[0])
    }
}

/// Merges; the result, unless there are conflicts.
fn merge(shipped: &Node, machine: &Node, new: &Node) -> (EtcMergePlan, Option<Node>) {
    let place = tempfile::tempdir().unwrap();
    for (name, node) in [("shipped", shipped), ("machine", machine), ("new", new)] {
        write(&place.path().join(name), node);
    }
    let root = dir::open_root(place.path()).unwrap();
    let open = |name| dir::open(&root, name, OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
    let trees = Trees { shipped: Some(open("shipped")), machine: open("machine"), new: open("new") };
    let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
    if !plan.conflicts.is_empty() {
        return (plan, None);
    }
    execute::execute(&plan, &trees.machine, &trees.new, || {}).unwrap();
    let result = read(&place.path().join("new"));
    (plan, Some(result))
}

/// What must be true at every name of three directories.
fn check(shipped: Option<&Node>, machine: Option<&Node>, new: Option<&Node>, result: Option<&Node>) {
    match (shipped, machine) {
        // The machine has left it alone, or removed it as well: what the new tree has.
        (shipped, machine) if shipped == machine => assert_eq!(result, new),
        (Some(_), None) => assert_eq!(result, None, "removed"),
        (_, Some(machine)) if !machine.is_directory() => assert_eq!(result, Some(machine), "changed"),
        (shipped, Some(Node::Directory(machine))) => {
            let empty = BTreeMap::new();
            let entries = |node: Option<&'_ Node>| match node {
                Some(Node::Directory(entries)) => entries.clone(),
                _ => empty.clone(),
            };
            let (shipped, new_entries, result_entries) = (entries(shipped), entries(new), entries(result));
            let names = shipped.keys().chain(machine.keys()).chain(new_entries.keys()).chain(result_entries.keys());
            for name in names {
                let (new, result) = (new_entries.get(name), result_entries.get(name));
                check(shipped.get(name), machine.get(name), new, result);
            }
        }
        (_, None) | (_, Some(_)) => unreachable!("every case is above"),
    }
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![(0..3u8).prop_map(Node::File), (0..2u8).prop_map(Node::Link)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(Node::Directory)
    })
}

fn directory() -> impl Strategy<Value = Node> {
    proptest::collection::btree_map("[a-d]", node(), 0..5).prop_map(Node::Directory)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_machine_wins_and_nothing_else_changes(shipped in directory(), machine in directory(), new in directory()) {
        if let (_, Some(result)) = merge(&shipped, &machine, &new) {
            check(Some(&shipped), Some(&machine), Some(&new), Some(&result));
        }
    }

    #[test]
    fn a_machine_that_changed_nothing_gets_the_new_tree(shipped in directory(), new in directory()) {
        let (plan, result) = merge(&shipped, &shipped, &new);
        prop_assert_eq!((plan.added.len(), plan.modified.len(), plan.removed.len()), (0, 0, 0));
        prop_assert_eq!(result, Some(new));
    }

    #[test]
    fn a_tree_that_changed_nothing_gets_the_machines(shipped in directory(), machine in directory()) {
        let (_, result) = merge(&shipped, &machine, &shipped);
        // A file of the machine's where a directory was shipped, and is: nobody can decide that.
        if let Some(result) = result {
            prop_assert_eq!(result, machine);
        }
    }
}

#[test]
fn modes_of_directories_are_carried_over_and_those_of_others_are_not() {
    let place = tempfile::tempdir().unwrap();
    for (name, mine, theirs) in [("shipped", 0o755, 0o755), ("machine", 0o700, 0o755), ("new", 0o755, 0o750)] {
        for (directory, mode) in [("mine", mine), ("theirs", theirs)] {
            let path = place.path().join(name).join(directory);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::write(place.path().join("machine/theirs/file"), "mine").unwrap();
    let root = dir::open_root(place.path()).unwrap();
    let open = |name| dir::open(&root, name, OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
    let trees = Trees { shipped: Some(open("shipped")), machine: open("machine"), new: open("new") };
    let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
    execute::execute(&plan, &trees.machine, &trees.new, || {}).unwrap();
    let mode = |name: &str| place.path().join("new").join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("mine"), mode("theirs")), (0o700, 0o750));
    assert!(place.path().join("new/theirs/file").exists());
}

/// Empty trees `shipped`, `machine` and `new`, changed by `arrange`.
fn arranged(arrange: impl FnOnce(&Path)) -> (tempfile::TempDir, Trees) {
    let place = tempfile::tempdir().unwrap();
    ["shipped", "machine", "new"].iter().for_each(|name| fs::create_dir(place.path().join(name)).unwrap());
    arrange(place.path());
    let trees = opened(&place);
    (place, trees)
}

fn opened(place: &tempfile::TempDir) -> Trees {
    let root = dir::open_root(place.path()).unwrap();
    let open = |name| dir::open(&root, name, OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
    Trees { shipped: Some(open("shipped")), machine: open("machine"), new: open("new") }
}

#[test]
fn what_is_there_again_is_not_removed() {
    let (place, trees) = arranged(|place| {
        for name in ["back", "back-as-directory", "gone"] {
            fs::write(place.join("shipped").join(name), "shipped").unwrap();
            fs::write(place.join("new").join(name), "shipped").unwrap();
        }
    });
    let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
    assert_eq!(plan.removed.len(), 3);
    fs::write(place.path().join("machine/back"), "mine").unwrap();
    fs::create_dir_all(place.path().join("machine/back-as-directory/inner")).unwrap();
    fs::write(place.path().join("machine/back-as-directory/inner/file"), "mine").unwrap();
    execute::execute(&plan, &trees.machine, &trees.new, || {}).unwrap();
    let new = |name: &str| fs::read_to_string(place.path().join("new").join(name)).ok();
    assert_eq!(new("back").as_deref(), Some("mine"));
    assert_eq!(new("back-as-directory/inner/file").as_deref(), Some("mine"));
    assert_eq!(new("gone"), None);
}

#[test]
fn what_vanished_since_it_was_planned_leaves_nothing() {
    let (place, trees) = arranged(|place| {
        fs::write(place.join("machine/passwd.new"), "mine").unwrap();
        fs::create_dir_all(place.join("machine/directory/inner")).unwrap();
        fs::write(place.join("machine/directory/inner/file"), "mine").unwrap();
    });
    let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
    fs::remove_file(place.path().join("machine/passwd.new")).unwrap();
    fs::remove_dir_all(place.path().join("machine/directory")).unwrap();
    execute::execute(&plan, &trees.machine, &trees.new, || {}).unwrap();
    assert_eq!(fs::read_dir(place.path().join("new")).unwrap().count(), 0);
}

/// A directory can vanish for the moment in which it is to be made.
#[test]
fn a_directory_that_comes_back_has_what_is_in_it() {
    let (place, trees) = arranged(|place| {
        fs::create_dir_all(place.join("machine/a/b")).unwrap();
        fs::write(place.join("machine/a/b/file"), "mine").unwrap();
        fs::write(place.join("machine/last"), "mine").unwrap();
    });
    let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
    let (there, away) = (place.path().join("machine/a"), place.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let mut back = Some(|| fs::rename(&away, &there).unwrap());
    let mut steps = 0;
    execute::execute(&plan, &trees.machine, &trees.new, || {
        steps += 1;
        // Both directories were away when they were to be made.
        if steps == 2 {
            back.take().unwrap()();
        }
    })
    .unwrap();
    assert_eq!(fs::read_to_string(place.path().join("new/a/b/file")).unwrap(), "mine");
}

/// Shutdown reads what has changed since `--prepare`, whatever it was then, and nothing else.
#[test]
fn files_known_to_be_the_same_are_read_again_only_if_they_changed() {
    let (place, trees) = arranged(|place| {
        for tree in ["shipped", "machine"] {
            fs::create_dir_all(place.join(tree).join("a")).unwrap();
            for name in ["content", "mode", "attribute", "shipped", "replaced", "same"] {
                fs::write(place.join(tree).join("a").join(name), "as shipped").unwrap();
            }
        }
    });
    let (machine, shipped) = (place.path().join("machine/a"), place.path().join("shipped/a"));
    let first = scan::scan(&trees, &Known::default(), false).unwrap();
    // Six files and their directory.
    assert_eq!((first.differences.len(), first.same.len()), (1, 7));
    let known = Known::of(first.same.clone(), i64::MAX);
    assert_eq!(scan::scan(&trees, &known, false).unwrap().same, []);
    // The time of a change may be that of the last tick of the clock.
    let changed = |path: &Path, change: &dyn Fn()| {
        let time = || rustix::fs::stat(path).map(|stat| (stat.st_ino, stat.st_ctime, stat.st_ctime_nsec)).unwrap();
        let before = time();
        while time() == before {
            change();
        }
    };
    changed(&machine.join("content"), &|| fs::write(machine.join("content"), "by machine").unwrap());
    changed(&machine.join("mode"), &|| {
        fs::set_permissions(machine.join("mode"), fs::Permissions::from_mode(0o600)).unwrap()
    });
    let attribute = fs::File::open(machine.join("attribute")).unwrap();
    changed(&machine.join("attribute"), &|| system::xattr::set(&attribute, b"user.mine", b"x").unwrap());
    changed(&shipped.join("shipped"), &|| fs::write(shipped.join("shipped"), "by another").unwrap());
    fs::write(machine.join("new"), "a new one\n").unwrap();
    fs::rename(machine.join("new"), machine.join("replaced")).unwrap();
    let now = scan::scan(&trees, &known, false).unwrap();
    let mut differ: Vec<_> = now
        .differences
        .iter()
        .filter(|difference| difference.changed)
        .map(|difference| difference.path.to_string())
        .collect();
    differ.sort();
    assert_eq!(differ, ["attribute", "content", "mode", "replaced", "shipped"].map(|name| format!("/etc/a/{name}")));
    assert_eq!(now.same.len(), 1, "the directory");
}

/// Makes a directory of so many levels, and a file at its end.
fn deep(place: &Path, levels: usize) {
    let mut directory = dir::open_root(place).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&directory, "d", rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        directory = system::tree::open(&directory, b"d").unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    rustix::fs::openat(&directory, "file", flags, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
}

/// On a stack on which a call for each level would not end well.
fn on_a_small_stack(run: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(512 << 10);
        small.spawn_scoped(scope, run).unwrap();
    });
}

#[test]
fn a_directory_as_deep_as_paths_go_is_merged() {
    // Two bytes a level.
    let (place, trees) = arranged(|place| deep(&place.join("machine"), 2047));
    on_a_small_stack(|| {
        let plan = plan::plan(&scan::scan(&trees, &Known::default(), false).unwrap().differences);
        assert_eq!(plan.added.len(), 2048);
        execute::execute(&plan, &trees.machine, &trees.new, || {}).unwrap();
        let merged = Trees { shipped: Some(trees.machine), machine: trees.new, ..opened(&place) };
        let merged = scan::scan(&merged, &Known::default(), false);
        assert_eq!(merged.unwrap().differences.len(), 1);
    });
    system::tree::empty(dir::open(dir::open_root(place.path()).unwrap(), ".", OFlags::RDONLY).unwrap()).unwrap();
}

#[test]
fn a_directory_that_is_deeper_is_refused_by_a_short_name() {
    let (place, trees) = arranged(|place| deep(&place.join("machine"), 2200));
    on_a_small_stack(|| {
        let text = scan::scan(&trees, &Known::default(), false).unwrap_err().to_string();
        assert!(text.contains("/etc/d/d/d/d/") && text.contains("(2049 levels, 4097 bytes)"), "{text}");
        assert!(text.len() < 400, "{text}");
    });
    system::tree::empty(dir::open(dir::open_root(place.path()).unwrap(), ".", OFlags::RDONLY).unwrap()).unwrap();
}
