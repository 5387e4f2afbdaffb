//! What is made of a set that is lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use disk_text::Disk;

use super::*;
use crate::repair::execute::execute;

fn disk() -> (tempfile::TempDir, Vec<String>) {
    let disk = Disk::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"), "two-deployments");
    let root = disk.make();
    // Beside version 1 there is a third deployment with the same kernel.
    let deploy = root.path().join("sysroot/ostree/deploy/os/deploy");
    let (one, three) = (deploy.join(format!("{}.0", "1".repeat(64))), deploy.join(format!("{}.0", "3".repeat(64))));
    assert!(std::process::Command::new("cp").arg("-a").args([&one, &three]).status().unwrap().success());
    let set = root.path().join("sysroot/ostree/boot.1/os");
    let csums: Vec<_> = fs::read_dir(&set).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let shared = csums
        .into_iter()
        .find(|csum| fs::read_link(set.join(csum).join("0")).unwrap().ends_with(one.file_name().unwrap()));
    let shared = shared.unwrap().into_string().unwrap();
    symlink(format!("../../../deploy/os/deploy/{}.0", "3".repeat(64)), set.join(&shared).join("1")).unwrap();
    let entries = root.path().join("sysroot/boot/loader/entries");
    let entry = fs::read_to_string(entries.join("ostree-1.conf")).unwrap();
    let entry = entry.replace(&format!("{shared}/0"), &format!("{shared}/1")).replace("version 1", "version 0");
    fs::write(entries.join("ostree-0.conf"), entry).unwrap();
    (root, vec![format!("os/{shared}/0"), format!("os/{shared}/1")])
}

fn planned(root: &Path) -> Repair {
    plan(&Place::open(Some(root), "repair bootlinks").unwrap()).unwrap()
}

#[test]
fn a_lost_set_takes_no_link_of_the_other_one() {
    let (root, shared) = disk();
    // The other set leads the same paths elsewhere.
    let ostree = root.path().join("sysroot/ostree");
    fs::rename(ostree.join("boot.1.1"), ostree.join("boot.0.1")).unwrap();
    fs::remove_file(ostree.join("boot.1")).unwrap();
    symlink("boot.0.1", ostree.join("boot.0")).unwrap();
    let repair = planned(root.path());
    let [set] = repair.sets.as_slice() else { panic!("{repair:?}") };
    assert_eq!((set.links.len(), set.directory.as_str(), repair.unknown.len()), (1, "boot.1.0", 2), "{repair:?}");
    assert!(shared.iter().all(|path| !set.links.contains_key(path)), "{set:?}");
}

#[test]
fn a_set_whose_link_is_lost_is_as_its_directory_says() {
    for directory in ["boot.1.0", "boot.1.1"] {
        let (root, shared) = disk();
        let ostree = root.path().join("sysroot/ostree");
        let before = fs::read_link(ostree.join("boot.1").join(&shared[1])).unwrap();
        fs::remove_file(ostree.join("boot.1")).unwrap();
        fs::rename(ostree.join("boot.1.1"), ostree.join(directory)).unwrap();
        let repair = planned(root.path());
        let [set] = repair.sets.as_slice() else { panic!("{repair:?}") };
        assert!(repair.unknown.is_empty() && set.made.len() == 3 && set.directory != directory, "{repair:?}");
        execute(&Place::open(Some(root.path()), "repair bootlinks").unwrap().roots, set).unwrap();
        assert_eq!(fs::read_link(ostree.join("boot.1").join(&shared[1])).unwrap(), before);
        assert!(planned(root.path()).sets.is_empty() && !ostree.join(directory).exists());
        assert!(!ostree.join("boot.1.firstroot-new").exists());
    }
}

#[test]
fn directories_that_do_not_agree_are_no_record() {
    let (root, shared) = disk();
    let ostree = root.path().join("sysroot/ostree");
    fs::remove_file(ostree.join("boot.1")).unwrap();
    let parent = ostree.join("boot.1.0").join(&shared[1]);
    fs::create_dir_all(parent.parent().unwrap()).unwrap();
    symlink(format!("../../../deploy/os/deploy/{}.0", "1".repeat(64)), parent).unwrap();
    let repair = planned(root.path());
    assert_eq!(repair.unknown.len(), 1, "{repair:?}");
    assert!(repair.unknown[0].link.ends_with(&shared[1]), "{repair:?}");
    execute(&Place::open(Some(root.path()), "repair bootlinks").unwrap().roots, &repair.sets[0]).unwrap();
    assert!(ostree.join("boot.1").join(&shared[0]).exists());
}
