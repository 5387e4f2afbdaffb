//! The initramfs in which each program finds the same: ours, the peer's, a disk with one deployment.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Story;
use namespace_tests::{Disk, Initramfs, Peer, inside, inside_of};
use nix::mount::{MsFlags, mount};
use qemu_tests::guest::Guest;
use qemu_tests::rootfs::Rootfs;

use super::contestant::{Contestant, Programs};
use super::disk_image::DiskImage;

const RECORD: &str = "ostree/boot-attempts/record";
const COUNT: &str = "ostree/boot-attempts/count";
const COUNT_SIZE: usize = 512;

/// What the configuration file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Configuration {
    /// There is none.
    Plain,
    /// `rollback.tries`, and the deployment is on trial: libostree counts nothing.
    Counting,
    /// `sysroot.readonly`.
    SysrootReadOnly,
    /// `composefs.enabled = yes`.
    Image,
    /// `composefs.enabled = verity`.
    ImageWithVerity,
}

impl Configuration {
    /// Those that are measured beside a guest's `ostree`: an older one makes no images.
    pub(crate) fn of(guest: Guest) -> &'static [Configuration] {
        match guest {
            Guest::Forky | Guest::ForkySelinux => &[
                Configuration::Plain,
                Configuration::Counting,
                Configuration::SysrootReadOnly,
                Configuration::Image,
                Configuration::ImageWithVerity,
            ],
            Guest::Bookworm | Guest::Trixie | Guest::TrixieInitramfsTools => {
                &[Configuration::Plain, Configuration::SysrootReadOnly]
            }
        }
    }

    /// For the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Configuration::Plain => "plain",
            Configuration::Counting => "an attempt is counted",
            Configuration::SysrootReadOnly => "sysroot.readonly",
            Configuration::Image => "composefs",
            Configuration::ImageWithVerity => "composefs with verity",
        }
    }

    fn text(self) -> Option<&'static str> {
        match self {
            Configuration::Plain => None,
            Configuration::Counting => Some("[rollback]\ntries=9\n"),
            Configuration::SysrootReadOnly => Some("[sysroot]\nreadonly=true\n"),
            Configuration::Image => Some("[composefs]\nenabled=yes\n"),
            Configuration::ImageWithVerity => Some("[composefs]\nenabled=verity\n"),
        }
    }

    /// Whether the root is an image.
    pub(crate) fn is_image(self) -> bool {
        matches!(self, Configuration::Image | Configuration::ImageWithVerity)
    }
}

/// The inside of it.
pub(crate) struct Stage<'a> {
    /// For programs of the host, as long as it is there.
    pub(crate) initramfs: &'a Initramfs,
    configuration: Configuration,
    boot_is_mounted: bool,
}

/// Runs `story` inside.
pub(crate) fn enter<T: Send>(
    programs: &Programs,
    rootfs: &Rootfs,
    configuration: Configuration,
    story: impl FnOnce(&Stage<'_>) -> Result<T> + Send,
) -> Result<T> {
    // The peer's generator of newer versions mounts /boot, so there prepare-root does not.
    let boot_is_mounted = rootfs.guest() != Guest::Forky;
    let peer = Peer { rootfs: rootfs.path() };
    let set = |initramfs: &mut Initramfs| {
        initramfs.keep_disk()?;
        initramfs.write("/floor", "")?;
        bind(&from_the_host(&programs.floor), "/floor")?;
        // As dracut leaves it: the peer's libraries are found without searching.
        initramfs
            .write("/etc/ld.so.cache", std::fs::read("/peer/etc/ld.so.cache").context("the peer's ld.so.cache")?)?;
        if let Some(text) = configuration.text() {
            initramfs.configure(text)?;
        }
        let drop_in = format!("[boot]\nmount={}\n", if boot_is_mounted { "yes" } else { "no" });
        initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf", drop_in)?;
        // This kernel has no fs-verity: of an image with `verity` nothing can be read, an init in /etc can.
        let init = if configuration == Configuration::ImageWithVerity { "init=/etc/passwd " } else { "" };
        initramfs.set_kernel_command_line(&format!("root=LABEL=x rw quiet {init}{}\n", initramfs.disk.argument()))?;
        story(&Stage { initramfs, configuration, boot_is_mounted })
    };
    if configuration.is_image() {
        let machine =
            Story::named("bench-image").first_tree("echo init >usr/sbin/init").staged(rootfs.guest())?.copy()?;
        return inside_of(&machine, &programs.ours, Some(&peer), set);
    }
    let image = DiskImage::new()?;
    inside(&programs.ours, Some(&peer), |initramfs| {
        initramfs.unmount("/sysroot")?;
        bind(&from_the_host(&image.mounted_at()), "/sysroot")?;
        initramfs.disk = Disk::new(Path::new("/sysroot"))?;
        set(initramfs)
    })
}

fn from_the_host(path: &Path) -> String {
    format!("/host{}", path.display())
}

fn bind(from: &str, to: &str) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>).with_context(|| format!("binding {from}"))
}

impl Stage<'_> {
    /// The state before a run; the journal's socket is to be kept until it is over.
    pub(crate) fn start_over(&self) -> Result<UnixDatagram> {
        self.initramfs.start_over()?;
        if self.configuration == Configuration::Counting {
            let disk = &self.initramfs.disk;
            let trial = &disk.deployment;
            disk.file(RECORD, format!("trial=/{trial}\nfallback=/{trial}\n"))?;
            // No attempt yet.
            disk.file(COUNT, "\n".repeat(COUNT_SIZE))?;
        }
        std::fs::create_dir_all("/run/systemd/system").context("making /run/systemd/system")?;
        std::fs::create_dir_all("/run/systemd/journal").context("making /run/systemd/journal")?;
        UnixDatagram::bind("/run/systemd/journal/socket").context("standing in for the journal")
    }

    /// The words that start a program.
    pub(crate) fn words(&self, contestant: Contestant) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match contestant {
            Contestant::Ours => words(&["/usr/lib/ostree/ostree-prepare-root", "/sysroot"]),
            Contestant::Peer => words(&["/peer/usr/lib/ostree/ostree-prepare-root", "/sysroot"]),
            Contestant::Floor => {
                let mut floor: Vec<String> = words(&["/floor"]);
                floor.push(self.initramfs.disk.deployment.clone());
                if self.boot_is_mounted {
                    floor.push("--boot".to_owned());
                }
                if !matches!(self.configuration, Configuration::Plain | Configuration::Counting) {
                    floor.push("--read-only".to_owned());
                }
                if self.configuration.is_image() {
                    floor.push("--image".to_owned());
                }
                if self.configuration == Configuration::ImageWithVerity {
                    floor.push("--verity".to_owned());
                }
                floor
            }
        }
    }

    /// A program, silent.
    pub(crate) fn command(&self, contestant: Contestant) -> Result<Command> {
        self.command_after(&[], contestant)
    }

    /// The same, started by another that takes it as its arguments.
    pub(crate) fn command_after(&self, starter: &[&str], contestant: Contestant) -> Result<Command> {
        let own = self.words(contestant);
        let mut words = starter.iter().copied().chain(own.iter().map(String::as_str));
        let mut command = Command::new(words.next().context("a program has a name")?);
        command.args(words).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        self.as_by_a_unit(&mut command)?;
        if self.configuration == Configuration::ImageWithVerity {
            // That the image is not sealed is said each time.
            command.stderr(Stdio::null());
        }
        Ok(command)
    }

    /// Started by a person, and not by a unit, whose standard error is the journal, a program counts nothing.
    pub(crate) fn as_by_a_unit(&self, command: &mut Command) -> Result<()> {
        if self.configuration == Configuration::Counting {
            let null = std::fs::metadata("/dev/null").context("reading the attributes of /dev/null")?;
            command.env("JOURNAL_STREAM", format!("{}:{}", null.dev(), null.ino())).stderr(Stdio::null());
        }
        Ok(())
    }

    /// Figures of programs that do different things are not comparable.
    pub(crate) fn check_that_all_do_the_same(&self) -> Result<()> {
        let mut tables = Vec::new();
        for contestant in [Contestant::Ours, Contestant::Peer, Contestant::Floor] {
            let _journal = self.start_over()?;
            let status = self.command(contestant)?.status().with_context(|| format!("running {contestant:?}"))?;
            ensure!(status.success(), "{contestant:?} ended with {status}");
            tables.push(namespace_tests::mount_table(Path::new("/sysroot"))?);
        }
        if self.configuration == Configuration::Counting {
            let _journal = self.start_over()?;
            ensure!(self.command(Contestant::Ours)?.status()?.success());
            let count = std::fs::read_to_string(self.initramfs.disk.path(COUNT)).context("reading the count")?;
            ensure!(count.contains("\nattempts=1\n"), "nothing was counted: {count}");
        }
        let [ours, peer, floor] = tables.as_slice() else { return Ok(()) };
        ensure!(ours == peer, "the mounts differ. firstroot:\n{ours}\nlibostree:\n{peer}");
        ensure!(ours == floor, "the mounts differ. firstroot:\n{ours}\nfloor:\n{floor}");
        Ok(())
    }

    /// Takes away the host's mounts, of which an initramfs has none.
    pub(crate) fn leave_the_host(&self) -> Result<()> {
        self.initramfs.unmount("/host")
    }
}
