//! Steps on directories: what is read afterwards is what was wanted, from wherever a run was cut.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_formats::bls::BlsEntry;
use ostree_formats::projected_entry::Token;

use super::execute;
use crate::list::{List, Listed, Payload, PayloadFile};
use crate::plan::{Step, plan};
use crate::read::target::target;

fn open(path: &Path) -> OwnedFd {
    fs::File::open(path).unwrap().into()
}

fn token() -> Token {
    Token::from_hash([7; 4])
}

/// Deployments by a digit each, with a kernel of their own in `boot`, and one overlay for all.
fn list(boot: &Path, digits: &[char]) -> List {
    let overlay = format!("ostree/initramfs-overlays/{}.img", "e".repeat(64));
    let listed = |digit: &char| {
        let sum = digit.to_string().repeat(64);
        let directory = format!("ostree/os-{sum}");
        fs::create_dir_all(boot.join(&directory).join("dtb/vendor")).unwrap();
        fs::create_dir_all(boot.join("ostree/initramfs-overlays")).unwrap();
        let mut files = Vec::new();
        for (path, size) in [("dtb/vendor/a.dtb", 10), ("initramfs.img", 700_000), ("vmlinuz", 300)] {
            let content = digit.to_string().repeat(size);
            fs::write(boot.join(&directory).join(path), content).unwrap();
            files.push(PayloadFile { path: path.to_owned(), size: size as u64 });
        }
        fs::write(boot.join(&overlay), "overlay").unwrap();
        let text =
            format!("title x\noptions rw\nlinux /{directory}/vmlinuz\ninitrd /{directory}/initramfs.img /{overlay}\n");
        Listed {
            deployment: format!("ostree/deploy/os/deploy/{sum}.0").parse().unwrap(),
            entry: BlsEntry::parse(text.as_bytes()).unwrap(),
            payloads: vec![
                Payload::Directory { path: directory, files },
                Payload::File(PayloadFile { path: overlay.clone(), size: 7 }),
            ],
            can_bless: false,
            is_booted: false,
        }
    };
    List {
        token: token(),
        deployments: digits.iter().map(listed).collect(),
        unreadable: Vec::new(),
        tries: 0,
        trial_arguments: String::new(),
    }
}

fn steps(list: &List, esp: &Path) -> Vec<Step> {
    plan(list, &target(open(esp), &token()).unwrap()).unwrap()
}

fn run(steps: &[Step], boot: &Path, esp: &Path) {
    execute(steps, open(boot).as_fd(), open(esp).as_fd(), &mut || ()).unwrap();
}

/// All files below a directory, with their content.
fn tree(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(tree(&entry.path()).into_iter().map(|(below, content)| (format!("{name}/{below}"), content)));
        } else {
            all.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn what_was_wanted_is_there_and_a_second_run_has_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (boot, esp) = (directory.path().join("boot"), directory.path().join("esp"));
    fs::create_dir_all(esp.join("EFI/BOOT")).unwrap();
    fs::write(esp.join("EFI/BOOT/BOOTX64.EFI"), "another system's").unwrap();
    fs::create_dir(&boot).unwrap();
    let old = list(&boot, &['a', 'b']);
    run(&steps(&old, &esp), &boot, &esp);
    assert_eq!(steps(&old, &esp), []);
    let sums = fs::read_to_string(esp.join(format!("ostree/os-{}/SHA256SUMS", "a".repeat(64)))).unwrap();
    assert_eq!(
        sums.lines().map(|line| line.split("  ").nth(1).unwrap()).collect::<Vec<_>>(),
        ["dtb/vendor/a.dtb", "initramfs.img", "vmlinuz"]
    );
    let new = list(&boot, &['c', 'a']);
    run(&steps(&new, &esp), &boot, &esp);
    assert_eq!(steps(&new, &esp), []);
    let names: Vec<String> = tree(&esp).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 1 + 2 + 2 * 4 + 1, "{names:?}");
    assert!(!names.iter().any(|name| name.contains("bbbb") || name.ends_with(".tmp")), "{names:?}");
}

#[test]
fn a_run_that_was_cut_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let boot = directory.path().join("boot");
    fs::create_dir(&boot).unwrap();
    let (old, new) = (list(&boot, &['a', 'b']), list(&boot, &['c', 'a']));
    let mut ends = Vec::new();
    for cut in 0.. {
        let esp = directory.path().join(format!("esp-{cut}"));
        fs::create_dir(&esp).unwrap();
        run(&steps(&old, &esp), &boot, &esp);
        let all = steps(&new, &esp);
        let Some(done) = all.get(..cut) else { break };
        run(done, &boot, &esp);
        // What a step leaves that was cut in its middle, and what a repair of the filesystem leaves.
        let half = esp.join(format!("ostree/os-{}", "c".repeat(64)));
        if !half.exists() {
            fs::create_dir_all(&half).unwrap();
            fs::write(half.join("vmlinuz.tmp"), "half").unwrap();
            fs::write(half.join("initramfs.img"), "").unwrap();
        }
        fs::write(esp.join("loader/entries/ostree-07070707-000009-cccccccccccc.0.conf.tmp"), "title").unwrap();
        for path in ["loader/entries", "ostree", "ostree/initramfs-overlays"] {
            fs::write(esp.join(path).join("firstroot-makes-room-0---.tmp"), "").unwrap();
        }
        run(&steps(&new, &esp), &boot, &esp);
        assert_eq!(steps(&new, &esp), []);
        ends.push(tree(&esp));
        fs::remove_dir_all(&esp).unwrap();
    }
    assert!(ends.len() >= 8, "{}", ends.len());
    assert!(ends.iter().flatten().all(|(name, _)| !name.ends_with(".tmp")), "something is left");
    assert!(ends.windows(2).all(|pair| matches!(pair, [one, other] if one == other)), "the ends differ");
}

#[test]
fn a_file_that_is_damaged_is_written_again_and_one_that_is_whole_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (boot, esp) = (directory.path().join("boot"), directory.path().join("esp"));
    fs::create_dir(&boot).unwrap();
    fs::create_dir(&esp).unwrap();
    let all = list(&boot, &['a']);
    run(&steps(&all, &esp), &boot, &esp);
    let payload = esp.join(format!("ostree/os-{}", "a".repeat(64)));
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(payload.join(name)).unwrap());
    let before = (inode("vmlinuz"), inode("initramfs.img"));
    fs::write(payload.join("initramfs.img"), "short").unwrap();
    let again = steps(&all, &esp);
    assert!(matches!(again.as_slice(), [Step::WritePayload(_)]), "{again:?}");
    run(&again, &boot, &esp);
    assert_eq!(steps(&all, &esp), []);
    assert_eq!(fs::read(payload.join("initramfs.img")).unwrap(), "a".repeat(700_000).as_bytes());
    assert_eq!(inode("vmlinuz"), before.0);
    assert_ne!(inode("initramfs.img"), before.1);
}
