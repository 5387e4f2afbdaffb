//! A root directory in, a directory of units out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::generate;

const TARGET: &str = "quiet ostree=/ostree/boot.1/os/0123/0";

/// A root directory of a system that prepare-root has prepared, and a directory for units.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(command_line: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for directory in ["units", "run/ostree", "sysroot", "boot", "etc"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        machine.with("proc/cmdline", command_line)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
        self
    }

    fn link(self, name: &str, target: &str) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        symlink(target, self.path(name)).unwrap();
        self
    }

    fn without(self, name: &str) -> Self {
        fs::remove_dir(self.path(name)).unwrap();
        self
    }

    /// What is returned, and the names that are made, but for directories.
    fn generate(&self) -> (Result<bool, String>, Vec<String>) {
        let result = generate(self.0.path(), &self.path("units")).map_err(|error| error.to_string());
        let mut names = Vec::new();
        list(&self.path("units"), "", &mut names);
        names.sort();
        (result, names)
    }

    fn unit(&self, name: &str) -> String {
        fs::read_to_string(self.path("units").join(name)).unwrap()
    }
}

fn list(directory: &Path, below: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().map(Result::unwrap) {
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}

const WITHOUT_MOUNTS: [&str; 3] = [
    "local-fs.target.requires/ostree-remount.service",
    "multi-user.target.wants/ostree-boot-complete.service",
    "sysroot.mount.d/ostree-softreboot.conf",
];
const VAR: [&str; 2] = ["local-fs.target.requires/var.mount", "var.mount"];
const BOOT: [&str; 2] = ["boot.mount", "local-fs.target.requires/boot.mount"];

fn sorted(parts: &[&[&str]]) -> Vec<String> {
    let mut names: Vec<String> = parts.concat().into_iter().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn var_is_that_of_the_stateroot() {
    let machine = Machine::new(TARGET).with("etc/fstab", "/dev/sda1 /home ext4\n");
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
    assert!(
        machine
            .unit("var.mount")
            .contains("\nWhere=/var\nWhat=/sysroot/ostree/deploy/os/var\nOptions=bind,slave,shared\n")
    );
    let link = fs::read_link(machine.path("units/local-fs.target.requires/ostree-remount.service")).unwrap();
    assert_eq!(link.to_str(), Some("/usr/lib/systemd/system/ostree-remount.service"));
}

#[test]
fn a_stateroot_is_no_specifier() {
    let machine = Machine::new("ostree=/ostree/boot.1/50%x/0123/0");
    assert_eq!(machine.generate().0, Ok(true));
    assert!(machine.unit("var.mount").contains("\nWhat=/sysroot/ostree/deploy/50%%x/var\n"));
}

#[test]
fn boot_is_mounted_if_it_is_on_the_root() {
    let on_root = || Machine::new(TARGET).link("sysroot/boot/loader", "loader.1");
    assert_eq!(on_root().generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR, &BOOT])));
    assert_eq!(on_root().without("boot").generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
    let separate = Machine::new(TARGET).with("sysroot/boot/loader/entries", "");
    assert_eq!(separate.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
}

#[test]
fn fstab_comes_first_for_var() {
    let machine = Machine::new(TARGET).with("etc/fstab", "/dev/sda1 //var/ ext4\n");
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS])));
}

#[test]
fn a_slot_leads_to_a_deployment_or_to_a_boot_link() {
    for target in ["deploy/os/deploy/0123.0", "../ostree/boot.0/os/0123/0"] {
        let machine = Machine::new("androidboot.slot_suffix=_b").link("ostree/root.b", target);
        assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])), "{target}");
        assert!(machine.unit("var.mount").contains("/deploy/os/var\n"));
    }
    let machine = Machine::new(&format!("androidboot.slot_suffix=_b {TARGET}"));
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
}

#[test]
fn nothing_is_written_where_the_initramfs_has_mounted_var() {
    let machine = Machine::new(TARGET).with("run/ostree/initramfs-mount-var", "");
    assert_eq!(machine.generate(), (Ok(true), Vec::new()));
    // It is told once.
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
}

#[test]
fn other_systems_get_no_units() {
    for machine in [Machine::new("root=/dev/sda"), Machine::new("").without("run/ostree"), Machine::new("\n\0\"")] {
        assert_eq!(machine.generate(), (Ok(true), Vec::new()));
    }
    // A root that no prepare-root has prepared is no success.
    assert_eq!(Machine::new(TARGET).without("run/ostree").generate(), (Ok(false), Vec::new()));
}

#[test]
fn without_var_it_is_no_success_and_the_rest_is_written() {
    for line in ["ostree=/dev/sda", "ostree=", "ostree=/ostree/boot.0/..//0", "androidboot.slot_suffix=_a"] {
        assert_eq!(Machine::new(line).generate(), (Ok(false), sorted(&[&WITHOUT_MOUNTS])), "{line}");
    }
    assert_eq!(Machine::new("androidboot.slot_suffix=_c").generate(), (Ok(false), Vec::new()));
}

#[test]
fn an_fstab_that_cannot_be_read_might_mount_var() {
    let large = Machine::new(TARGET).with("etc/fstab", "/dev/sda1 /home ext4\n".repeat(1 << 19));
    assert_eq!(large.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])), "10 MB");
    let larger = Machine::new(TARGET).with("etc/fstab", "\n");
    fs::File::options().write(true).open(larger.path("etc/fstab")).unwrap().set_len(1 << 40).unwrap();
    let directory = Machine::new(TARGET).with("etc/fstab/x", "");
    let fifo = Machine::new(TARGET);
    rustix::fs::mknodat(rustix::fs::CWD, fifo.path("etc/fstab"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let loop_of_links = Machine::new(TARGET).link("etc/fstab", "fstab");
    for machine in [larger, directory, fifo, loop_of_links] {
        assert_eq!(machine.generate(), (Ok(false), sorted(&[&WITHOUT_MOUNTS])));
    }
}

#[test]
fn what_another_generator_has_made_stays_and_the_rest_is_written() {
    let machine = Machine::new(TARGET)
        .link("sysroot/boot/loader", "loader.1")
        .with("units/boot.mount", "of fstab")
        .link("units/local-fs.target.requires/boot.mount", "../boot.mount");
    assert_eq!(machine.generate(), (Ok(false), sorted(&[&WITHOUT_MOUNTS, &VAR, &BOOT])));
    assert_eq!(machine.unit("boot.mount"), "of fstab");
    // As of a second run in the same directory.
    assert_eq!(machine.generate(), (Ok(false), sorted(&[&WITHOUT_MOUNTS, &VAR, &BOOT])));
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let (result, _) = Machine::new(TARGET).without("units").generate();
    let message = result.unwrap_err();
    assert!(message.starts_with("cannot open /") && message.contains("/units: No such file"), "{message}");
}

#[test]
fn a_boot_that_counts_is_blessed_and_does_not_wait_for_a_person() {
    const OF_A_TRIAL: [&str; 5] = [
        "basic.target.wants/firstroot-bless.service",
        "boot-complete.target.requires/firstroot-boot-check.service",
        "emergency.service.d/firstroot-trial.conf",
        "rescue.service.d/firstroot-trial.conf",
        "systemd-bless-boot.service.d/firstroot-trial.conf",
    ];
    let machine = Machine::new(&format!("{TARGET} firstroot.trial"));
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR, &OF_A_TRIAL])));
    assert_eq!(
        machine.unit("emergency.service.d/firstroot-trial.conf"),
        "# Written by firstroot: this boot counts\n[Unit]\nFailureAction=reboot\n\n\
         [Service]\nExecStartPre=/usr/bin/firstroot esp trial-failed\n"
    );
    // The initramfs counts it.
    let machine = Machine::new(TARGET).with("run/ostree/boot-trial", "");
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR, &OF_A_TRIAL])));
    // Another time than the unit's.
    const LIMIT: &str = "firstroot-boot-check.service.d/firstroot-timeout.conf";
    let machine = Machine::new(TARGET).with("run/ostree/boot-trial", "");
    let machine = machine.with("etc/ostree/esp.conf", "[rollback]\ntimeout=2min\n");
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR, &OF_A_TRIAL, &[LIMIT]])));
    assert!(machine.unit(LIMIT).ends_with("[Unit]\nJobTimeoutSec=120s\n"), "{}", machine.unit(LIMIT));
    // Something else is started than the default target.
    const AFTER: [&str; 3] = [
        "firstroot-boot-check.service.d/firstroot-target.conf",
        "firstroot-esp-confirm.service.d/firstroot-target.conf",
        "firstroot-make-default.service.d/firstroot-target.conf",
    ];
    let machine = Machine::new(&format!("{TARGET} systemd.unit=kiosk.target"));
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR, &AFTER])));
    for unit in AFTER.map(|unit| machine.unit(unit)) {
        assert!(unit.ends_with("[Unit]\nAfter=kiosk.target\n"), "{unit}");
    }
    let machine = Machine::new(&format!("{TARGET} 3"));
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
    // Another word is none.
    let machine = Machine::new(&format!("{TARGET} firstroot.trials quiet=firstroot.trial"));
    assert_eq!(machine.generate(), (Ok(true), sorted(&[&WITHOUT_MOUNTS, &VAR])));
}
