//! The systems that are booted.

use std::fmt;

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guest {
    /// Debian 12, for its dracut (059) and its kernel (6.1).
    Bookworm,
    /// Debian 13: the main guest. ostree 2025.2, dracut 106.
    Trixie,
    /// Debian 13 as it is installed by default: with initramfs-tools in place of dracut.
    TrixieInitramfsTools,
    /// Debian testing: the newest ostree, dracut, systemd and kernel that are packaged.
    Forky,
    /// Debian testing with SELinux: its policy in the tree, as Fedora has it, and a label on every file of the disk.
    ForkySelinux,
}

/// What every guest has, besides what dpkg calls essential.
const PACKAGES: &[&str] = &[
    "btrfs-progs",
    // Statically linked: from it, initramfs are made by hand.
    "busybox-static",
    "dbus",
    "dracut",
    "e2fsprogs",
    "kmod",
    "linux-image-cloud-amd64",
    "ostree",
    "ostree-boot",
    "systemd",
    "systemd-sysv",
    "udev",
    "xfsprogs",
];

/// What a guest has besides for SELinux: libostree runs `semodule` in `bwrap`.
const SELINUX_PACKAGES: &[&str] = &["bubblewrap", "policycoreutils", "selinux-policy-default", "selinux-utils"];

/// What makes a guest's initramfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// dracut.
    Dracut,
    /// Debian's own.
    InitramfsTools,
}

impl Guest {
    /// All of them.
    pub fn all() -> [Guest; 5] {
        [Guest::Bookworm, Guest::Trixie, Guest::TrixieInitramfsTools, Guest::Forky, Guest::ForkySelinux]
    }

    /// Those that most whole machines are made of.
    pub fn booted() -> [Guest; 2] {
        [Guest::Trixie, Guest::Forky]
    }

    /// Debian's name of the release, as in apt's sources.
    pub fn suite(self) -> &'static str {
        match self {
            Guest::Bookworm => "bookworm",
            Guest::Trixie | Guest::TrixieInitramfsTools => "trixie",
            Guest::Forky | Guest::ForkySelinux => "forky",
        }
    }

    /// Its own name, for tests and artefacts.
    pub fn name(self) -> &'static str {
        match self {
            Guest::ForkySelinux => "forky-selinux",
            Guest::TrixieInitramfsTools => "trixie-initramfs-tools",
            Guest::Bookworm | Guest::Trixie | Guest::Forky => self.suite(),
        }
    }

    /// The packages that its root filesystem is made of.
    pub fn packages(self) -> Vec<&'static str> {
        let more = if self.has_selinux() { SELINUX_PACKAGES } else { &[] };
        let generator = |name: &'static str| match self.generator() {
            Generator::InitramfsTools if name == "dracut" => "initramfs-tools",
            _ => name,
        };
        PACKAGES.iter().chain(more).map(|name| generator(name)).collect()
    }

    /// What makes its initramfs.
    pub fn generator(self) -> Generator {
        if self == Guest::TrixieInitramfsTools { Generator::InitramfsTools } else { Generator::Dracut }
    }

    /// Whether it has an SELinux policy, and labels.
    pub fn has_selinux(self) -> bool {
        self == Guest::ForkySelinux
    }

    /// Kernel arguments that its boot loader entries have.
    pub fn kernel_arguments(self) -> &'static [&'static str] {
        if self.has_selinux() { &["security=selinux", "selinux=1"] } else { &[] }
    }

    /// Whether the archive can change under us, so that on some days it cannot be installed.
    pub fn moves(self) -> bool {
        self.suite() == Guest::Forky.suite()
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
