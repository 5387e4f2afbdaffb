//! Steps on directories: what is read afterwards is what was wanted, from wherever a run was cut.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_formats::bls::BlsEntry;
use ostree_formats::projected_entry::Token;

use super::{Sources, execute};
use crate::list::{CopiedFrom, List, Listed, Payload, PayloadFile};
use crate::plan::{Step, plan};
use crate::read::digest;
use crate::read::target::target;
use crate::target::Sums;

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
            files.push(PayloadFile { path: path.to_owned(), size: size as u64, from: CopiedFrom::Boot });
        }
        fs::write(boot.join(&overlay), "overlay").unwrap();
        let text =
            format!("title x\noptions rw\nlinux /{directory}/vmlinuz\ninitrd /{directory}/initramfs.img /{overlay}\n");
        Listed {
            deployment: format!("ostree/deploy/os/deploy/{sum}.0").parse().unwrap(),
            entry: BlsEntry::parse(text.as_bytes()).unwrap(),
            payloads: vec![
                Payload::Directory { path: directory, files },
                Payload::File(PayloadFile { path: overlay.clone(), size: 7, from: CopiedFrom::Boot }),
            ],
            can_bless: false,
            is_booted: false,
        }
    };
    List {
        token: token(),
        deployments: digits.iter().map(listed).collect(),
        unreadable: Vec::new(),
        staged: None,
        tries: 0,
        trial_arguments: String::new(),
        is_further: false,
    }
}

fn steps(list: &List, esp: &Path) -> Vec<Step> {
    plan(list, &target(open(esp), &token()).unwrap()).unwrap()
}

fn run(steps: &[Step], boot: &Path, esp: &Path) {
    let boot = open(boot);
    let sources = Sources { boot: boot.as_fd(), sysroot: boot.as_fd() };
    execute(steps, sources, open(esp).as_fd(), &mut || ()).unwrap();
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

/// A deployment that boots an image of a tree, beside the kernel `kernel`.
fn with_image(boot: &Path, digit: char, kernel: char, content: &str) -> Listed {
    let mut listed = list(boot, &[kernel]).deployments.remove(0);
    listed.deployment = format!("ostree/deploy/os/deploy/{}.0", digit.to_string().repeat(64)).parse().unwrap();
    let sum = |content: &str| digest::of_text(content).unwrap();
    let name = format!("uki-6.1-{}.efi", &sum(content).as_str()[..12]);
    let mut files = Vec::new();
    for (path, content) in [(name.clone(), content), (format!("{name}.extra.d/a.addon.efi"), "addon")] {
        let source = format!("tree-{digit}-{}", files.len());
        fs::write(boot.join(&source), content).unwrap();
        let from = CopiedFrom::Tree { path: source, sum: Some(sum(content)) };
        files.push(PayloadFile { path, size: content.len() as u64, from });
    }
    let directory = format!("ostree/os-{}", kernel.to_string().repeat(64));
    listed.entry.set("linux", &format!("/{directory}/{name}"));
    listed.entry.remove("initrd");
    listed.payloads = vec![Payload::Directory { path: directory, files }];
    listed
}

/// All names below a directory, directories as well.
fn names(esp: &Path) -> Vec<String> {
    let (mut all, mut waiting) = (Vec::new(), vec![esp.to_owned()]);
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            all.push(path.strip_prefix(esp).unwrap().display().to_string());
            waiting.extend(path.is_dir().then_some(path));
        }
    }
    all.sort();
    all
}

/// Whether every `SHA256SUMS` is right, and has all other files of its directory.
fn require_right_sums(esp: &Path) {
    for (path, text) in tree(esp).into_iter().filter(|(path, _)| path.ends_with("/SHA256SUMS")) {
        let directory = esp.join(path.trim_end_matches("/SHA256SUMS"));
        let sums = Sums::parse(&String::from_utf8(text).unwrap());
        let files: Vec<_> = tree(&directory).into_iter().filter(|(name, _)| name != "SHA256SUMS").collect();
        assert_eq!(sums.0.len(), files.len(), "{directory:?}");
        for (name, content) in files {
            let (_, sum) = sums.0.iter().find(|(other, _)| *other == name).unwrap();
            assert_eq!(*sum, digest::of_text(&String::from_utf8(content).unwrap()).unwrap(), "{name}");
        }
    }
}

#[test]
fn images_beside_one_kernel_come_and_go_and_a_run_that_was_cut_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let boot = directory.path().join("boot");
    fs::create_dir(&boot).unwrap();
    let of = |deployments: Vec<Listed>| List { deployments, ..list(&boot, &[]) };
    let (first, second) = (with_image(&boot, 'a', 'a', "image one"), with_image(&boot, 'b', 'a', "image two"));
    // The kernel alone, an image in its place, another image of the same kernel; then this one alone, and the kernel again.
    let lists = [
        list(&boot, &['a']),
        of(vec![first.clone()]),
        of(vec![second.clone(), first]),
        of(vec![second]),
        list(&boot, &['a']),
    ];
    let name = |content: &str| format!("uki-6.1-{}.efi", &digest::of_text(content).unwrap().as_str()[..12]);
    for pair in lists.windows(2) {
        let [old, new] = pair else { panic!("two") };
        let mut ends = Vec::new();
        for cut in 0.. {
            let temporary = tempfile::tempdir().unwrap();
            let esp = temporary.path().to_owned();
            run(&steps(old, &esp), &boot, &esp);
            let all = steps(new, &esp);
            let Some(done) = all.get(..cut) else { break };
            run(done, &boot, &esp);
            // A removal that was cut in its middle, and an image that was to be there before the list has changed once more.
            let kernel = esp.join(format!("ostree/os-{}", "a".repeat(64)));
            if kernel.exists() {
                let _ = fs::remove_dir_all(kernel.join(format!("{}.extra.d", name("image one"))));
                fs::write(kernel.join("uki-6.1-0.efi"), "another").unwrap();
                fs::create_dir(kernel.join("uki-6.1-0.efi.extra.d")).unwrap();
            }
            run(&steps(new, &esp), &boot, &esp);
            assert_eq!(steps(new, &esp), []);
            require_right_sums(&esp);
            ends.push((names(&esp), tree(&esp)));
        }
        assert!(ends.len() >= 4, "{}", ends.len());
        for end in &ends {
            assert_eq!(end.0, ends[0].0);
            assert!(end.1 == ends[0].1, "the ends differ");
        }
        let all = &ends[0].0;
        let wanted = new.deployments.iter().flat_map(|listed| &listed.payloads);
        let images =
            wanted.filter(|payload| matches!(payload, Payload::Directory { files, .. } if files.len() == 2)).count();
        assert_eq!(all.iter().filter(|name| name.ends_with(".extra.d")).count(), images, "{all:?}");
        assert_eq!(all.iter().filter(|name| name.ends_with("/vmlinuz")).count(), usize::from(images == 0), "{all:?}");
    }
}

#[test]
fn an_image_that_changes_while_it_is_copied_is_an_error_and_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let (boot, esp) = (directory.path().join("boot"), directory.path().join("esp"));
    fs::create_dir(&boot).unwrap();
    fs::create_dir(&esp).unwrap();
    let listed = with_image(&boot, 'a', 'a', "image one");
    fs::write(boot.join("tree-a-0"), "image 000").unwrap();
    let list = List { deployments: vec![listed], ..list(&boot, &[]) };
    let (boot, target) = (open(&boot), open(&esp));
    let sources = Sources { boot: boot.as_fd(), sysroot: boot.as_fd() };
    let error = execute(&steps(&list, &esp), sources, target.as_fd(), &mut || ()).unwrap_err().to_string();
    assert!(error.contains("/tree-a-0, which has changed meanwhile"), "{error}");
    assert!(
        !names(&esp).iter().any(|name| name.ends_with(".efi") || name.ends_with("SHA256SUMS")),
        "{:?}",
        names(&esp)
    );
}
