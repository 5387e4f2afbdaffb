//! What a test does with a machine, as a sentence.

use std::fmt;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

use crate::cache::{Artefact, Cache};
use crate::cpio::Archive;
use crate::disk::{BOOT_UUID, Disks, Filesystem, ROOT_UUID};
use crate::dracut;
use crate::extlinux;
use crate::firmware::{Esp, Firmware, LOADER, Programs};
use crate::grub;
use crate::guest::Guest;
use crate::images::{empty_disk, place_for_images, remove_images};
use crate::initramfs;
use crate::machine::{Console, Initramfs, Machine, PowerCut};
use crate::package::{Package, Provider};
use crate::refind;
use crate::report::Report;
use crate::runs::fresh_directory;
use crate::small_initramfs;
use crate::sysroot::Sysroot;
use crate::sysroot_kernel;
use crate::systemd_boot;
use crate::tree::Tree;

/// How a deployment's root is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In the initramfs that the guest's generator makes.
    Generated,
    /// By a hook in dracut's initramfs without systemd.
    DracutHook,
    /// By the script of an initramfs that has nothing but busybox.
    Script,
    /// By process 1, without an initramfs.
    Init,
}

type Change = Rc<dyn Fn(&Path) -> Result<()>>;

/// A machine, and what is special about it.
#[derive(Clone)]
pub struct Scenario {
    name: String,
    guest: Guest,
    filesystem: Filesystem,
    tree: Provider,
    provider: Provider,
    way: Way,
    files: Vec<(String, String)>,
    kernel_arguments: Vec<String>,
    without_arguments: Vec<String>,
    boot_writes: Option<u64>,
    spare_disk: bool,
    change: Option<Change>,
    look: Option<Change>,
    esp: Option<Esp>,
    systemd_boot: Option<Guest>,
    reboots: bool,
    extlinux: bool,
}

impl Scenario {
    /// A Debian 13 on ext4, booted with our prepare-root by its dracut initramfs.
    pub fn new(name: &str) -> Scenario {
        Scenario {
            name: name.to_owned(),
            guest: Guest::Trixie,
            filesystem: Filesystem::Ext4,
            tree: Provider::Ours,
            provider: Provider::Ours,
            way: Way::Generated,
            files: Vec::new(),
            kernel_arguments: Vec::new(),
            without_arguments: Vec::new(),
            boot_writes: None,
            spare_disk: false,
            change: None,
            look: None,
            esp: None,
            systemd_boot: None,
            reboots: false,
            extlinux: false,
        }
    }

    /// Another guest.
    #[must_use]
    pub fn on(mut self, guest: Guest) -> Scenario {
        self.guest = guest;
        self
    }

    /// Another filesystem, or layout.
    #[must_use]
    pub fn with_filesystem(mut self, filesystem: Filesystem) -> Scenario {
        self.filesystem = filesystem;
        self
    }

    /// Whose prepare-root the initramfs has. The disk is the same for both.
    #[must_use]
    pub fn booted_by(mut self, provider: Provider) -> Scenario {
        self.provider = provider;
        self
    }

    /// Whose files the deployed tree has.
    #[must_use]
    pub fn deployed_with(mut self, provider: Provider) -> Scenario {
        self.tree = provider;
        self
    }

    /// In dracut's initramfs without systemd.
    #[must_use]
    pub fn in_an_initramfs_without_systemd(mut self) -> Scenario {
        self.way = Way::DracutHook;
        self
    }

    /// In a busybox initramfs whose script calls prepare-root.
    #[must_use]
    pub fn in_a_script_initramfs(mut self) -> Scenario {
        self.way = Way::Script;
        self
    }

    /// Without an initramfs: the deployment's prepare-root is process 1. Ours takes the place of libostree's by a link, as
    /// docs/packaging.md says.
    #[must_use]
    pub fn without_initramfs(mut self) -> Scenario {
        self.way = Way::Init;
        self
    }

    /// `/etc/ostree/prepare-root.conf` of the initramfs.
    #[must_use]
    pub fn prepare_root_conf(self, content: &str) -> Scenario {
        self.initramfs_file("etc/ostree/prepare-root.conf", content)
    }

    /// A file of the initramfs.
    #[must_use]
    pub fn initramfs_file(mut self, path: &str, content: &str) -> Scenario {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// Further kernel arguments.
    #[must_use]
    pub fn kernel_arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Scenario {
        self.kernel_arguments.extend(arguments.into_iter().map(str::to_owned));
        self
    }

    /// Leaves out a kernel argument of the boot loader entry, or of those that every boot has.
    #[must_use]
    pub fn without_kernel_argument(mut self, argument: &str) -> Scenario {
        self.without_arguments.push(argument.to_owned());
        self
    }

    /// A `/boot` of its own on a disk that takes no more than this many bytes in a second.
    #[must_use]
    pub fn with_slow_boot_disk(mut self, bytes_per_second: u64) -> Scenario {
        self.boot_writes = Some(bytes_per_second);
        self
    }

    /// One more disk, with nothing on it: `/dev/disk/by-id/virtio-spare`.
    #[must_use]
    pub fn with_spare_disk(mut self) -> Scenario {
        self.spare_disk = true;
        self
    }

    /// Changes the disk before the first boot; `change` gets the path of the physical root.
    #[must_use]
    pub fn with_disk_changed_by(mut self, change: impl Fn(&Path) -> Result<()> + 'static) -> Scenario {
        self.change = Some(Rc::new(change));
        self
    }

    /// Looks at the disk after the last boot; `look` gets the path of the physical root.
    #[must_use]
    pub fn with_disk_looked_at_by(mut self, look: impl Fn(&Path) -> Result<()> + 'static) -> Scenario {
        self.look = Some(Rc::new(look));
        self
    }

    /// With an ESP that has systemd-boot, and this `loader.conf`; entries have the arguments that each boot has.
    #[must_use]
    pub fn with_esp(mut self, loader_conf: &str) -> Scenario {
        self.esp = Some(Esp::Installed { loader_conf: loader_conf.to_owned() });
        self
    }

    /// The boot loader on the ESP is the systemd-boot of this guest's release, and not that of the host.
    #[must_use]
    pub fn with_systemd_boot_of(mut self, guest: Guest) -> Scenario {
        self.systemd_boot = Some(guest);
        self
    }

    /// The same with the release of the guest that boots.
    #[must_use]
    pub fn with_its_own_systemd_boot(mut self) -> Scenario {
        self.systemd_boot = Some(self.guest);
        self
    }

    /// A boot from the ESP that ends with a reboot goes on with the next one, without anybody who starts it, until the machine is
    /// switched off.
    #[must_use]
    pub fn that_reboots(mut self) -> Scenario {
        self.reboots = true;
        self
    }

    /// With an ESP that has another boot loader only, and systemd-boot in the tree, as a package of it has it.
    #[must_use]
    pub fn with_esp_of_another_loader(mut self) -> Scenario {
        self.esp = Some(Esp::Other);
        self.with_disk_changed_by(|root| Sysroot::at(root).add_to_deployment(Path::new(LOADER)))
    }

    /// With an ESP that has a signed systemd-boot, a firmware that starts what is signed alone, and a signed unified kernel image
    /// beside the kernel, which is not.
    #[must_use]
    pub fn with_secure_boot(mut self, loader_conf: &str) -> Scenario {
        self.esp = Some(Esp::Signed { loader_conf: loader_conf.to_owned() });
        self.with_disk_changed_by(|root| Sysroot::at(root).add_image())
    }

    /// With an ESP that has systemd-boot with this `loader.conf`, and the rEFInd of the guest's release, which starts it.
    #[must_use]
    pub fn with_refind(mut self, loader_conf: &str) -> Scenario {
        self.esp = Some(Esp::BehindRefind { loader_conf: loader_conf.to_owned() });
        self
    }

    /// With an ESP that has the GRUB of the guest's release, whose menu `grub-mkconfig` writes in the system.
    #[must_use]
    pub fn with_grub(mut self) -> Scenario {
        let uuid = if self.filesystem.has_boot_disk() { BOOT_UUID } else { ROOT_UUID };
        self.esp = Some(Esp::Grub { script: grub::script(uuid, !self.filesystem.has_boot_disk()) });
        self
    }

    /// With extlinux on a disk of its own with `/boot`, started by a BIOS.
    #[must_use]
    pub fn with_extlinux(mut self) -> Scenario {
        self.extlinux = true;
        self.with_filesystem(Filesystem::Ext4WithBoot)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Boots once.
    pub fn run(&self) -> Result<Report> {
        self.run_script("")
    }

    /// Boots once and runs `script` in the system.
    pub fn run_script(&self, script: &str) -> Result<Report> {
        self.run_scripts(&[script])?.pop().context("no boot")
    }

    /// Boots once for each script, with the same disks.
    pub fn run_scripts(&self, scripts: &[&str]) -> Result<Vec<Report>> {
        let boots: Vec<_> = scripts.iter().map(|script| (self.provider, *script)).collect();
        self.run_in_turn(&boots)
    }

    /// Boots once for each script, with the same disks: at first directly, and then by its firmware from the ESP.
    pub fn run_scripts_from_esp(&self, first: &str, then: &[&str]) -> Result<Vec<Report>> {
        self.with_machine(|machine, _| {
            let then = (2..).zip(then).map(|(number, script)| machine.boot_from_firmware(number, script));
            std::iter::once(machine.boot(1, first)).chain(then).collect()
        })
    }

    /// The same; then once more, until `text` is on the console, since nothing comes up.
    pub fn run_scripts_from_esp_until(&self, first: &str, then: &[&str], text: &str) -> Result<Vec<Report>> {
        self.with_machine(|machine, _| {
            let reports = (2..).zip(then).map(|(number, script)| machine.boot_from_firmware(number, script));
            let reports = std::iter::once(machine.boot(1, first)).chain(reports).collect::<Result<Vec<_>>>()?;
            machine.boot_from_firmware_until(reports.len() + 1, text)?;
            Ok(reports)
        })
    }

    /// Boots in turn with the prepare-root of one or the other, with the same disks.
    pub fn run_in_turn(&self, boots: &[(Provider, &str)]) -> Result<Vec<Report>> {
        self.with_machine(|machine, tree| {
            let boot = |(number, (provider, script)): (usize, &(Provider, &str))| {
                let scenario = self.clone().booted_by(*provider);
                let initramfs = scenario.initramfs(tree, &machine.directory, &machine.cache)?;
                Machine { initramfs, ..machine.clone() }.boot(number + 1, script)
            };
            boots.iter().enumerate().map(boot).collect()
        })
    }

    /// Boots once for each script, with the same disks; in the first boot the power fails.
    pub fn run_scripts_after_power_cut(&self, first: &str, cut: &PowerCut, then: &[&str]) -> Result<Vec<Report>> {
        self.with_machine(|machine, _| {
            let then = (2..).zip(then).map(|(number, script)| machine.boot(number, script));
            std::iter::once(machine.boot_until(1, first, cut)).chain(then).collect()
        })
    }

    /// Boots with a person at the console.
    pub fn run_with_person(&self, lines: &[Console]) -> Result<Report> {
        self.with_machine(|machine, _| machine.boot_with_person(1, lines))
    }

    /// Boots with the console on this terminal.
    pub fn interact(&self) -> Result<()> {
        self.with_machine(|machine, _| machine.interact())
    }

    fn with_machine<T>(&self, work: impl FnOnce(&Machine, &Tree) -> Result<T>) -> Result<T> {
        let cache = Cache::open()?;
        let tree = Tree::of(self.guest, self.tree, &cache)?;
        let (deployed, _) = Disks::deployed(&tree, self.filesystem, self.tree.name(), &cache)?;
        let directory = fresh_directory(&self.to_string())?;
        let images = place_for_images(&directory)?;
        let disks = deployed.copy_to(images.path())?;
        if self.way == Way::Init {
            disks.mounted(|root| Sysroot::at(root).link_prepare_root()).context("linking prepare-root")?;
        }
        if let Some(change) = &self.change {
            disks.mounted(|root| change(root)).context("changing the disk")?;
        }
        if self.extlinux {
            disks.make_boot_again(extlinux::NOT_READ)?;
        }
        if self.has_a_loader() {
            disks.mounted(|root| self.prepare_for_loader(&Sysroot::at(root), &cache))?;
        }
        let firmware = self.esp.as_ref().map(|esp| self.firmware(esp, &directory, &cache)).transpose()?;
        let initramfs = self.initramfs(&tree, &directory, &cache)?;
        let machine = Machine {
            firmware,
            directory: directory.clone(),
            disks,
            initramfs,
            bios: self.extlinux.then_some("boot"),
            appended: if self.has_a_loader() { Vec::new() } else { self.appended() },
            kernel_arguments: self.kernel_arguments.clone(),
            without_arguments: self.without_arguments.clone(),
            boot_writes: self.boot_writes,
            spare_disk: self.spare_disk.then(|| empty_disk(&directory)).transpose()?,
            busybox: tree.rootfs().path().join("usr/bin/busybox"),
            cache,
        };
        let looked_at = |result| match &self.look {
            Some(look) => machine.disks.mounted(|root| look(root)).context("looking at the disk").map(|()| result),
            None => Ok(result),
        };
        let result = work(&machine, &tree).and_then(looked_at);
        let result = result.with_context(|| format!("{self}, logs in {}", directory.display()));
        remove_images(&directory)?;
        result
    }

    /// What a boot loader of the machine itself has to find on the disk, since nobody can add it while it boots.
    fn prepare_for_loader(&self, sysroot: &Sysroot<'_>, cache: &Cache) -> Result<()> {
        sysroot.append_kernel_argument(&Machine::usual_arguments(&self.without_arguments))?;
        let appended = self.appended();
        if !appended.is_empty() {
            sysroot_kernel::append_to_initramfs(sysroot, &appended)?;
        }
        match &self.esp {
            Some(Esp::Grub { .. }) => grub::install(sysroot, self.guest, cache),
            Some(_) => Ok(()),
            None => extlinux::install(sysroot),
        }
    }

    /// Whether it has a boot loader that is none of QEMU's.
    fn has_a_loader(&self) -> bool {
        self.esp.is_some() || self.extlinux
    }

    fn firmware(&self, esp: &Esp, directory: &Path, cache: &Cache) -> Result<Firmware> {
        let loader = match esp {
            Esp::Grub { .. } => grub::of(self.guest, cache)?,
            _ => match self.systemd_boot {
                Some(guest) => systemd_boot::of(guest, cache)?,
                None => Path::new(LOADER).to_path_buf(),
            },
        };
        let is_behind = matches!(esp, Esp::BehindRefind { .. });
        let refind = is_behind.then(|| refind::of(self.guest, cache)).transpose()?;
        Ok(Firmware { reboots: self.reboots, ..Firmware::new(directory, esp, &Programs { loader, refind })? })
    }

    fn initramfs(&self, tree: &Tree, directory: &Path, cache: &Cache) -> Result<Initramfs> {
        let small = directory.join("small.img");
        let write = |bytes: Vec<u8>| fs::write(&small, bytes).with_context(|| format!("writing {}", small.display()));
        match self.way {
            Way::Generated if self.provider == self.tree => Ok(Initramfs::OfEntry),
            Way::Generated => Ok(file_in(&initramfs::of(tree.rootfs(), self.provider, cache)?)),
            Way::DracutHook => Ok(file_in(&dracut::without_systemd(tree.rootfs(), cache)?)),
            Way::Script => {
                let package = (self.provider == Provider::Ours).then(Package::find).transpose()?;
                write(small_initramfs::of_a_script(tree.rootfs(), package.as_ref())?)?;
                Ok(Initramfs::File(small))
            }
            Way::Init => {
                write(small_initramfs::that_is_none(tree.rootfs(), self.filesystem)?)?;
                Ok(Initramfs::None(small))
            }
        }
    }

    fn appended(&self) -> Vec<u8> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let archive = self.files.iter();
        archive.fold(Archive::new(), |a, (path, content)| a.file(path, 0o644, content.as_bytes())).finish()
    }
}

/// The image in what a generator made.
fn file_in(artefact: &Artefact) -> Initramfs {
    Initramfs::File(artefact.path().join("initramfs.img"))
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}, {})", self.name, self.guest, self.filesystem, self.provider.name())
    }
}
