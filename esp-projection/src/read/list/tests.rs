use std::fs;
use std::path::{Path, PathBuf};

use ostree_formats::deployment::Checksum;
use ostree_formats::staged_state::{StagedState, StagedTarget};

use super::*;
use crate::list::{CopiedFrom, PayloadFile, Uki};
use crate::read::staged::{announced, of_tree};
use crate::read::variables::{EFIVARS, GLOBAL};

const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";
const MODULES_OF_IT: &str = "usr/lib/modules/6.1";

/// An EFI program with these sections, of which only the head is read.
fn image(sections: &[&str]) -> Vec<u8> {
    let count = u8::try_from(sections.len()).unwrap();
    let mut bytes =
        [b"MZ".as_slice(), &[0; 58], &[0x40, 0, 0, 0], b"PE\0\0", &[0x64, 0x86, count, 0], &[0; 12]].concat();
    bytes
        .extend([&[240, 0, 0, 0, 0x0b, 2], [0; 66].as_slice(), &[10, 0], &[0; 38], &[16, 0, 0, 0], &[0; 128]].concat());
    for name in sections {
        let padded = [name.as_bytes(), &[0; 16]].concat();
        bytes.extend([&padded[..16], &[5, 0, 0, 0], &[0; 20]].concat());
    }
    bytes
}

/// A system with one deployment, whose kernel and initramfs are in `/boot`.
struct Machine {
    root: tempfile::TempDir,
    roots: Roots,
    deployment: Deployment,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let kernel = format!("sysroot/boot/ostree/os-{SUM}");
        for path in [&kernel, "boot", &format!("sysroot/{}/{MODULES_OF_IT}", path()), "run/ostree", EFIVARS] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        for name in ["vmlinuz-6.1", "initramfs-6.1.img", "devicetree-6.1"] {
            fs::write(root.path().join(&kernel).join(name), name).unwrap();
        }
        let roots = Roots::at(root.path()).unwrap();
        let path = path().parse().unwrap();
        let deployment = Deployment::read(&roots, path, SUM.parse().unwrap(), &mut Vec::new()).unwrap();
        let mut machine = Self { root, roots, deployment };
        machine.entry("");
        for (name, content) in
            [("vmlinuz", b"k".as_slice()), ("initramfs.img", b"i"), ("devicetree", b"devicetree-6.1")]
        {
            machine.put(name, content);
        }
        fs::write(machine.in_tree("usr/lib/os-release"), "PRETTY_NAME=OS\n").unwrap();
        machine.deployment.read_tree(&machine.roots).unwrap();
        machine
    }

    fn entry(&mut self, more: &str) {
        let text = format!(
            "title OS\nlinux /boot/ostree/os-{SUM}/vmlinuz-6.1\ninitrd /boot/ostree/os-{SUM}/initramfs-6.1.img\n{more}options rw\n"
        );
        self.deployment.entry = BlsEntry::parse(text.as_bytes()).unwrap();
    }

    fn in_tree(&self, name: &str) -> PathBuf {
        self.root.path().join("sysroot").join(path()).join(name)
    }

    /// A file beside the kernel.
    fn put(&self, name: &str, content: &[u8]) {
        let path = self.in_tree(&format!("{MODULES_OF_IT}/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn secure_boot(&self, is_on: u8) {
        fs::write(self.variable(), [6, 0, 0, 0, is_on]).unwrap();
    }

    fn variable(&self) -> PathBuf {
        self.root.path().join(format!("{EFIVARS}/SecureBoot-{GLOBAL}"))
    }

    fn listed(&self, setting: Option<Uki>) -> Result<Listed, String> {
        let mut images = Images::new(&self.roots, setting);
        listed(&self.roots, &self.deployment, "entry", false, &mut images).map_err(|error| error.to_string())
    }

    /// The kernel that is projected, and the files of its directory.
    fn projected(&self, setting: Option<Uki>) -> (String, Vec<String>) {
        let listed = self.listed(setting).unwrap();
        let [Payload::Directory { path, files }] = listed.payloads.as_slice() else { panic!("{listed:?}") };
        let linux = listed.entry.get("linux").unwrap().rsplit_once('/').unwrap().1.to_owned();
        assert_eq!(*path, format!("ostree/os-{SUM}"));
        assert_eq!(listed.entry.get("initrd").is_none(), linux.starts_with("uki-"), "{listed:?}");
        assert_eq!(listed.entry.all_options(), "rw");
        // Before the update is in /boot, the same is said of it.
        let mut images = Images::new(&self.roots, setting);
        let staged = of_tree(&self.roots, &self.deployment, &mut images).unwrap();
        let [Payload::Directory { files: of_tree, .. }] = staged.payloads.as_slice() else { panic!("{staged:?}") };
        for file in of_tree {
            let CopiedFrom::Tree { path, .. } = &file.from else { panic!("{file:?}") };
            let found = self.root.path().join("sysroot").join(path);
            assert_eq!(fs::metadata(&found).unwrap().len(), file.size, "{file:?}");
        }
        let names = |files: &[PayloadFile]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let is_on_disk = |file: &&PayloadFile| {
            let is_named = self.deployment.entry.get("devicetree").is_some();
            !linux.starts_with("uki-") || !file.path.starts_with("devicetree") || is_named
        };
        assert_eq!(names(files), names(&of_tree.iter().filter(is_on_disk).cloned().collect::<Vec<_>>()));
        (linux, names(files))
    }
}

fn path() -> String {
    format!("ostree/deploy/os/deploy/{SUM}.0")
}

fn sum(path: &Path) -> Checksum {
    Checksum::from_bytes(&Sha256::digest(fs::read(path).unwrap())).unwrap()
}

const PLAIN: [&str; 3] = ["devicetree-6.1", "initramfs-6.1.img", "vmlinuz-6.1"];

#[test]
fn an_image_beside_the_kernel_is_projected_where_it_is_wanted() {
    let mut machine = Machine::new();
    machine.entry(&format!("devicetree /boot/ostree/os-{SUM}/devicetree-6.1\n"));
    machine.put("virt.efi", &image(&[".linux", ".initrd"]));
    machine.put("memtest.efi", &image(&[".text", ".data"]));
    let sum = sum(&machine.in_tree(&format!("{MODULES_OF_IT}/virt.efi")));
    let name = format!("uki-6.1-{}.efi", &sum.as_str()[..12]);
    let is_image = |setting| {
        let (linux, files) = machine.projected(setting);
        let expected: &[&str] = if linux == name { &["devicetree-6.1", &name] } else { &PLAIN };
        assert_eq!(files, expected);
        linux == name
    };
    // Without the variable, and with it.
    assert_eq!([None, Some(Uki::Prefer), Some(Uki::Ignore)].map(is_image), [false, true, false]);
    machine.secure_boot(0);
    assert_eq!([None, Some(Uki::Prefer), Some(Uki::Ignore)].map(is_image), [false, true, false]);
    machine.secure_boot(1);
    assert_eq!([None, Some(Uki::Prefer), Some(Uki::Ignore)].map(is_image), [true, true, false]);
    let listed = machine.listed(None).unwrap();
    let [Payload::Directory { files, .. }] = listed.payloads.as_slice() else { panic!("{listed:?}") };
    let from = CopiedFrom::Tree { path: format!("{}/{MODULES_OF_IT}/virt.efi", path()), sum: Some(sum) };
    assert_eq!(files.last().unwrap().from, from);
    // Whether it is on is not known.
    fs::remove_file(machine.variable()).unwrap();
    fs::create_dir(machine.variable()).unwrap();
    let error = machine.listed(None).unwrap_err();
    assert!(error.contains("SecureBoot-8be4df61"), "{error}");
}

#[test]
fn another_content_has_another_name_and_addons_count() {
    let machine = Machine::new();
    let content = image(&[".linux", ".initrd"]);
    let name = |content: &[u8]| {
        machine.put("virt.efi", content);
        machine.projected(Some(Uki::Prefer))
    };
    let (first, files) = name(&content);
    assert_eq!(files, [first.as_str()]);
    let (second, _) = name(&[content.as_slice(), b"x"].concat());
    let (third, _) = name(&[content.as_slice(), b"y"].concat());
    assert!(first != second && second != third, "{second}");
    machine.put("virt.efi.extra.d/a.addon.efi", b"addon");
    machine.put("virt.efi.extra.d/root.cred", b"left out");
    machine.put("virt.efi.extra.d/no name.addon.efi", b"left out");
    let (with, files) = name(&content);
    assert_ne!(with, first);
    assert_eq!(files, [with.clone(), format!("{with}.extra.d/a.addon.efi")]);
    machine.put("virt.efi.extra.d/a.addon.efi", b"other");
    assert_ne!(name(&content).0, with);
}

#[test]
fn an_image_that_cannot_boot_the_deployment_is_none_or_an_error() {
    let mut machine = Machine::new();
    machine.put("virt.efi", &image(&[".linux", ".initrd", ".cmdline"]));
    // Its own arguments win with Secure Boot alone.
    assert!(machine.projected(Some(Uki::Prefer)).0.starts_with("uki-"));
    machine.secure_boot(1);
    assert_eq!(machine.projected(Some(Uki::Prefer)).0, "vmlinuz-6.1");
    machine.put("virt.efi", &image(&[".linux", ".initrd"]));
    let overlay = "ostree/initramfs-overlays";
    fs::create_dir_all(machine.root.path().join(format!("sysroot/boot/{overlay}"))).unwrap();
    fs::write(machine.root.path().join(format!("sysroot/boot/{overlay}/{SUM}.img")), "overlay").unwrap();
    machine.entry(&format!("initrd /{overlay}/{SUM}.img\n"));
    machine.deployment.overlay_initrds = vec![SUM.parse().unwrap()];
    let staged = of_tree(&machine.roots, &machine.deployment, &mut Images::new(&machine.roots, None));
    for error in [machine.listed(None).unwrap_err(), staged.unwrap_err().to_string()] {
        assert!(error.contains("6.1/virt.efi loads none: deploy without --overlay-initrd"), "{error}");
    }
    assert!(machine.listed(Some(Uki::Ignore)).unwrap().entry.get("linux").unwrap().ends_with("/vmlinuz-6.1"));
    machine.entry("");
    machine.deployment.overlay_initrds.clear();
    machine.put("other.efi", &[image(&[".linux", ".initrd"]), vec![1]].concat());
    let error = machine.listed(None).unwrap_err();
    assert!(
        error.contains("6.1/other.efi, /ostree/") && error.contains("6.1/virt.efi; the tree must have one"),
        "{error}"
    );
    assert_eq!(machine.projected(Some(Uki::Ignore)).0, "vmlinuz-6.1");
}

#[test]
fn libostrees_init_is_dropped_for_a_kernel_with_an_initramfs_in_it() {
    let root = tempfile::tempdir().unwrap();
    for path in ["boot", "sysroot/boot/ostree/os-a"] {
        fs::create_dir_all(root.path().join(path)).unwrap();
    }
    let roots = Roots::at(root.path()).unwrap();
    let init = "init=/ostree/boot.0/os/a/0/usr/lib/ostree/ostree-prepare-root";
    let options = |kernel: &[u8], options: &str| {
        fs::write(root.path().join("sysroot/boot/ostree/os-a/vmlinuz"), kernel).unwrap();
        let text = format!("linux /boot/ostree/os-a/vmlinuz\noptions {options}\n");
        let mut entry = BlsEntry::parse(text.as_bytes()).unwrap();
        drop_init_of_unified_kernel(&roots, &mut entry).unwrap();
        entry.all_options()
    };
    let (unified, plain) = (image(&[".linux", ".initrd"]), image(&[".text", ".data"]));
    assert_eq!(options(&unified, &format!("rw {init} quiet")), "rw quiet");
    assert_eq!(options(&plain, &format!("rw {init} quiet")), format!("rw {init} quiet"));
    // A person has asked for this one.
    assert_eq!(options(&unified, "rw init=/bin/sh"), "rw init=/bin/sh");
}

#[test]
fn an_announcement_that_cannot_be_read_announces_nothing_and_stops_nothing() {
    let machine = Machine::new();
    let path = machine.root.path().join("run/ostree/staged-deployment");
    assert_eq!(announced(&machine.roots), None);
    for bytes in [&b""[..], b"nonsense"] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(announced(&machine.roots), None);
    }
    let target = StagedTarget { deployment: machine.deployment.path.clone(), bootcsum: SUM.parse().unwrap() };
    let state = StagedState {
        target,
        merge_deployment: None,
        kargs: None,
        overlay_initrds: Vec::new(),
        bootconfig_extra: std::collections::BTreeMap::new(),
        locked: false,
    };
    fs::write(&path, state.to_bytes()).unwrap();
    assert_eq!(announced(&machine.roots), Some(format!("ostree/os-{SUM}")));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(announced(&machine.roots), None);
}
