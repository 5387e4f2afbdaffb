//! Installing and uninstalling: each change is durable before the next one begins.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use super::directory::{make_directory, open_directory, shown};
use super::payload::Sources;
use super::steps::execute;
use super::{file, removal, variable};
use crate::install::{CONFIGURATION, Change};
use crate::read::variables::EFIVARS;

/// Where changes are made.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// What payloads are copied from.
    pub sources: Sources<'a>,
    /// The root of the ESP.
    pub target: BorrowedFd<'a>,
    /// The firmware's variables.
    pub variables: BorrowedFd<'a>,
    /// The root of the system.
    pub system: BorrowedFd<'a>,
}

/// Makes the changes.
///
/// # Errors
/// One cannot be made. Those before are, and are durable.
pub fn carry_out(changes: &[Change], places: &Places<'_>, progress: &mut dyn FnMut()) -> Result<(), SystemError> {
    for change in changes {
        match change {
            Change::Project(step) => execute(std::slice::from_ref(step), places.sources, places.target, progress)?,
            Change::WriteFile { path, content } => {
                let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
                if parent != "." {
                    make_directory(places.target, parent)?;
                }
                let directory = open_directory(places.target, parent)?;
                file::write(&directory, name, content).context("write", shown(path))?;
            }
            Change::RemoveFile(path) => removal::file(places.target, path)?,
            Change::WriteConfiguration => configuration(places.system)?,
            Change::RemoveConfiguration => {
                let etc = open_etc(places.system)?;
                dir::remove_file(&etc, "esp.conf").context("remove", "/etc/ostree/esp.conf")?;
                rustix::fs::fsync(&etc).context("sync", "/etc/ostree")?;
            }
            Change::SetVariable { name, value, .. } => {
                variable::set(places.variables, name, value).context("write", format_args!("/{EFIVARS}: {name}"))?;
            }
            Change::RemoveVariable(name) => {
                variable::remove(places.variables, name).context("remove", format_args!("/{EFIVARS}: {name}"))?;
            }
        }
        progress();
    }
    Ok(())
}

fn configuration(system: BorrowedFd<'_>) -> Result<(), SystemError> {
    dir::make(system, "etc/ostree", 0o755).context("make", "/etc/ostree")?;
    let etc = open_etc(system)?;
    dir::replace_file(&etc, "esp.conf", CONFIGURATION.as_bytes(), 0o644).context("write", "/etc/ostree/esp.conf")
}

fn open_etc(system: BorrowedFd<'_>) -> Result<OwnedFd, SystemError> {
    dir::open(system, "etc/ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/etc/ostree")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    use ostree_formats::projected_entry::Token;

    use super::*;
    use crate::firmware::{Firmware, HardDrive, encode};
    use crate::install::{Configuration, Facts, Program, Record, confirm, install, uninstall};
    use crate::read::installed::installed;
    use crate::read::variables::{GLOBAL, firmware};

    fn open(path: &Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    /// A machine with GRUB: a directory each for the variables, the ESP and the system.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for directory in ["variables", "esp/EFI/debian", "esp/EFI/BOOT", "system/etc"] {
                fs::create_dir_all(machine.path(directory)).unwrap();
            }
            fs::write(machine.path("esp/EFI/BOOT/BOOTX64.EFI"), "shim").unwrap();
            machine.variable("Boot0001", &encode("debian", &drive(), "\\EFI\\debian\\shimx64.efi"));
            machine.variable("BootOrder", &[1, 0, 2, 0, 3, 0]);
            machine.variable("BootCurrent", &[1, 0]);
            machine
        }

        fn path(&self, path: &str) -> std::path::PathBuf {
            self.0.path().join(path)
        }

        fn variable(&self, name: &str, value: &[u8]) {
            fs::write(self.path(&format!("variables/{name}-{GLOBAL}")), [&[7, 0, 0, 0], value].concat()).unwrap();
        }

        fn firmware(&self) -> Firmware {
            firmware(open(&self.path("variables")).as_fd()).unwrap()
        }

        fn facts(&self) -> Facts {
            let program = Program {
                name: "systemd-bootx64.efi".to_owned(),
                content: b"#### LoaderInfo: systemd-boot 262 ####".to_vec(),
                is_signed: false,
            };
            let token = Token::from_hash([7; 4]);
            let found = installed(open(&self.path("esp")).as_fd(), &token, &program).unwrap();
            let configuration = fs::read(self.path("system/etc/ostree/esp.conf"));
            Facts {
                token,
                program,
                drive: drive(),
                firmware: self.firmware(),
                record: found.record,
                files: found.files,
                directories: found.directories,
                others: found.others,
                has_fallback: found.has_fallback,
                further: Vec::new(),
                configuration: match configuration {
                    Ok(bytes) if bytes == CONFIGURATION.as_bytes() => Configuration::Written,
                    Ok(_) => Configuration::On(String::new()),
                    Err(_) => Configuration::Missing,
                },
                projection: Vec::new(),
            }
        }

        fn carry_out(&self, changes: &[Change]) -> Result<(), SystemError> {
            let (esp, variables) = (open(&self.path("esp")), open(&self.path("variables")));
            let (boot, system) = (open(&self.path("system")), open(&self.path("system")));
            let places = Places {
                sources: Sources { boot: boot.as_fd(), sysroot: boot.as_fd() },
                target: esp.as_fd(),
                variables: variables.as_fd(),
                system: system.as_fd(),
            };
            carry_out(changes, &places, &mut || ())
        }

        /// All files with their contents.
        fn tree(&self) -> BTreeMap<String, Vec<u8>> {
            let (mut files, mut waiting) = (BTreeMap::new(), vec![self.0.path().to_owned()]);
            while let Some(directory) = waiting.pop() {
                for entry in fs::read_dir(directory).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        waiting.push(path);
                    } else {
                        files.insert(path.display().to_string(), fs::read(&path).unwrap());
                    }
                }
            }
            files
        }
    }

    fn drive() -> HardDrive {
        HardDrive { number: 1, start: 2048, size: 4096, uuid: [9; 16] }
    }

    #[test]
    fn installed_confirmed_and_uninstalled_a_machine_is_as_before() {
        let machine = Machine::new();
        let before = machine.tree();
        let facts = machine.facts();
        machine.carry_out(&install(&facts).unwrap()).unwrap();
        let installed = machine.facts();
        assert_eq!(install(&installed).unwrap(), []);
        assert_eq!((installed.firmware.next, installed.firmware.order.as_slice()), (Some(0), &[1, 2, 3][..]));
        assert_eq!(fs::read_to_string(machine.path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap(), "shim");
        let conf = fs::read_to_string(machine.path("esp/loader/loader.conf")).unwrap();
        assert_eq!(conf, "timeout 3\ndefault ostree-07070707-*\n");
        // The firmware has started it.
        fs::remove_file(machine.path(&format!("variables/BootNext-{GLOBAL}"))).unwrap();
        machine.variable("BootCurrent", &[0, 0]);
        let change = confirm(&machine.firmware(), &drive().uuid, &facts.program.firmware_path()).unwrap();
        machine.carry_out(&[change]).unwrap();
        assert_eq!(machine.firmware().order, [0, 1, 2, 3]);
        machine.carry_out(&uninstall(&machine.facts(), &[], false).unwrap().changes).unwrap();
        machine.variable("BootCurrent", &[1, 0]);
        assert_eq!(machine.tree(), before);
    }

    #[test]
    fn cut_after_any_change_a_second_run_ends_where_the_first_would_have() {
        let whole = Machine::new();
        let changes = install(&whole.facts()).unwrap();
        whole.carry_out(&changes).unwrap();
        let names = |machine: &Machine| -> BTreeSet<Vec<u8>> { machine.tree().into_values().collect() };
        for cut in 0..changes.len() {
            let machine = Machine::new();
            machine.carry_out(&changes[..cut]).unwrap();
            assert_eq!(machine.firmware().order, [1, 2, 3], "{cut}");
            machine.carry_out(&install(&machine.facts()).unwrap()).unwrap();
            assert_eq!(names(&machine), names(&whole), "{cut}");
        }
        let removal = uninstall(&whole.facts(), &[], false).unwrap().changes;
        for cut in 0..removal.len() {
            let machine = Machine::new();
            machine.carry_out(&changes).unwrap();
            machine.carry_out(&removal[..cut]).unwrap();
            machine.carry_out(&uninstall(&machine.facts(), &[], false).unwrap().changes).unwrap();
            assert_eq!(names(&machine), names(&Machine::new()), "{cut}");
        }
    }

    #[test]
    fn variables_that_cannot_be_written_are_an_error_with_their_name() {
        let machine = Machine::new();
        fs::create_dir(machine.path(&format!("variables/Boot0000-{GLOBAL}"))).unwrap();
        let value = encode("x", &drive(), "\\x");
        let change = Change::SetVariable { name: "Boot0000".to_owned(), value, what: String::new() };
        let error = machine.carry_out(&[change]).unwrap_err().to_string();
        assert!(error.contains("Boot0000"), "{error}");
        assert!(!Record::parse("nonsense").has("", ""));
    }
}
