use super::*;
use std::fs;
use std::path::Path;

use ostree_formats::deployment::hexadecimal;
use sha2::{Digest, Sha256};

const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

/// An EFI program with these sections, of which only the head is read.
pub(super) fn image(sections: [&str; 2]) -> Vec<u8> {
    let mut bytes = [b"MZ".as_slice(), &[0; 58], &[0x40, 0, 0, 0], b"PE\0\0", &[0x64, 0x86, 2, 0], &[0; 12]].concat();
    bytes
        .extend([&[240, 0, 0, 0, 0x0b, 2], [0; 66].as_slice(), &[10, 0], &[0; 38], &[16, 0, 0, 0], &[0; 128]].concat());
    for name in sections {
        let padded = [name.as_bytes(), &[0; 16]].concat();
        bytes.extend([&padded[..16], &[5, 0, 0, 0], &[0; 20]].concat());
    }
    bytes
}

/// A tree in which each file has its own path as content.
fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

fn find_in(root: &Path, on_record: Option<&str>) -> Result<KernelLayout, String> {
    let path = format!("ostree/deploy/os/deploy/{SUM}.0").parse().unwrap();
    let bootcsum = on_record.map(|sum| sum.parse().unwrap());
    find(fs::File::open(root).unwrap(), &path, bootcsum.as_ref()).map_err(|error| error.to_string())
}

fn found(files: &[&str]) -> Result<KernelLayout, String> {
    find_in(tree(files).path(), None)
}

fn targets(files: &[&str]) -> Vec<String> {
    found(files).unwrap().files().map(|file| file.target.clone()).collect()
}

#[test]
fn modules_with_everything() {
    let all = ["vmlinuz", "initramfs.img", "devicetree", ".vmlinuz.hmac", "aboot.img"];
    let all: Vec<String> = all.iter().map(|name| format!("usr/lib/modules/6.1/{name}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(
        targets(&all),
        ["vmlinuz-6.1", "initramfs-6.1.img", "devicetree-6.1", ".vmlinuz-6.1.hmac", "aboot-6.1.img"]
    );
}

#[test]
fn a_directory_without_a_kernel_is_passed_over() {
    let files = ["usr/lib/modules/5.1/modules.dep", "usr/lib/modules/6.1/vmlinuz", "usr/lib/modules/6.1/dtb/a.dtb"];
    assert_eq!(targets(&files), ["vmlinuz-6.1", "dtb"]);
}

#[test]
fn a_link_to_the_only_kernel_is_no_second_one() {
    let root = tree(&["usr/lib/modules/6.1/vmlinuz", "usr/lib/modules/README"]);
    std::os::unix::fs::symlink("6.1", root.path().join("usr/lib/modules/current")).unwrap();
    assert_eq!(find_in(root.path(), None).unwrap().directory, "usr/lib/modules/6.1");
}

#[test]
fn the_older_layout_wins_when_only_it_has_an_initramfs() {
    let (kernel, initramfs) =
        (format!("usr/lib/ostree-boot/vmlinuz-6-{SUM}"), format!("usr/lib/ostree-boot/initramfs-6.img-{SUM}"));
    assert_eq!(targets(&["usr/lib/modules/6.1/vmlinuz", &kernel]), ["vmlinuz-6.1"]);
    assert_eq!(targets(&["usr/lib/modules/6.1/vmlinuz", &kernel, &initramfs]), ["vmlinuz-6", "initramfs-6.img"]);
}

#[test]
fn two_checksums_are_an_error() {
    let other = SUM.replace('5', "6");
    let error = found(&[&format!("boot/vmlinuz-6-{SUM}"), &format!("boot/initramfs-6-{other}")]).unwrap_err();
    assert!(error.contains("different checksums"), "{error}");
    assert!(found(&["boot/grub.cfg"]).unwrap_err().contains("has no kernel"));
}

#[test]
fn of_two_kernels_the_one_on_record_counts() {
    let root = tree(&[
        "usr/lib/modules/5.0-old/vmlinuz",
        "usr/lib/modules/5.0-old/initramfs.img",
        "usr/lib/modules/6.1/vmlinuz",
        "usr/lib/modules/6.1/initramfs.img",
    ]);
    for version in ["5.0-old", "6.1"] {
        let directory = format!("usr/lib/modules/{version}");
        let sum = hexadecimal(&Sha256::digest(format!("{directory}/vmlinuz{directory}/initramfs.img")));
        assert_eq!(find_in(root.path(), Some(&sum)).unwrap().directory, directory);
        assert!(has_bootcsum(fs::File::open(root.path()).unwrap(), &sum.parse().unwrap()).unwrap());
    }
    let both = "usr/lib/modules/5.0-old/vmlinuz, usr/lib/modules/6.1/vmlinuz";
    let error = find_in(root.path(), None).unwrap_err();
    assert!(error.contains("no boot link or staged data says which one") && error.contains(both), "{error}");
    let error = find_in(root.path(), Some(SUM)).unwrap_err();
    assert!(error.contains("none has the checksum 5e1f") && error.contains(both), "{error}");
}

#[test]
fn one_that_cannot_be_read_does_not_hide_the_one_on_record() {
    let root = tree(&["usr/lib/modules/5.0-old/vmlinuz", "usr/lib/modules/6.1/vmlinuz"]);
    let dtb = root.path().join("usr/lib/modules/5.0-old/dtb");
    fs::create_dir(&dtb).unwrap();
    std::os::unix::fs::symlink(".", dtb.join("loop")).unwrap();
    let sum = hexadecimal(&Sha256::digest("usr/lib/modules/6.1/vmlinuz"));
    assert_eq!(find_in(root.path(), Some(&sum)).unwrap().directory, "usr/lib/modules/6.1");
    let error = find_in(root.path(), Some(SUM)).unwrap_err();
    assert!(error.contains("usr/lib/modules/5.0-old/dtb/loop: Is a directory"), "{error}");
}

#[test]
fn of_two_in_an_older_layout_the_name_tells() {
    let other = SUM.replace('5', "6");
    let root = tree(&[
        &format!("boot/vmlinuz-6-{SUM}"),
        &format!("boot/initramfs-6-{SUM}"),
        &format!("boot/vmlinuz-5-{other}"),
        &format!("boot/initramfs-5-{other}"),
    ]);
    let files = |sum| find_in(root.path(), Some(sum)).unwrap().files().map(|f| f.target.clone()).collect::<Vec<_>>();
    assert_eq!(files(SUM), ["vmlinuz-6", "initramfs-6"]);
    assert_eq!(files(&other), ["vmlinuz-5", "initramfs-5"]);
    assert!(find_in(root.path(), None).unwrap_err().contains("has several kernels"));
}

#[test]
fn an_absolute_link_among_device_trees_may_be_the_reason_for_another_bootcsum() {
    let root = tree(&["usr/lib/modules/6.1/vmlinuz", "usr/lib/modules/6.1/dtb/sub/a.dtb"]);
    let dtb = root.path().join("usr/lib/modules/6.1/dtb");
    std::os::unix::fs::symlink("a.dtb", dtb.join("sub/b.dtb")).unwrap();
    let checked = || {
        let layout = find_in(root.path(), None).unwrap();
        let path = format!("ostree/deploy/os/deploy/{SUM}.0").parse().unwrap();
        let deployment = fs::File::open(root.path()).unwrap();
        check(&deployment, &path, &layout, &SUM.parse().unwrap()).unwrap_err().to_string()
    };
    let damaged = "was staged: the disk is damaged; check it (`ostree fsck`) and stage the update again";
    assert!(checked().ends_with(damaged), "{}", checked());
    std::os::unix::fs::symlink("/usr/lib/a.dtb", dtb.join("sub/c.dtb")).unwrap();
    let told = "usr/lib/modules/6.1/dtb/sub/c.dtb is an absolute link, which libostree resolved in the running system instead of the deployment";
    assert!(checked().contains(told) && !checked().contains("a.dtb is"), "{}", checked());
}
