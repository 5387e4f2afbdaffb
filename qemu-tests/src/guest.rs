//! The systems that are booted.

use std::fmt;

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guest {
    /// Debian 12, for its dracut (059) and its kernel (6.1).
    Bookworm,
    /// Debian 13: the main guest. ostree 2025.2, dracut 106.
    Trixie,
    /// Debian testing: the newest ostree, dracut, systemd and kernel that are packaged.
    Forky,
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

impl Guest {
    /// All of them.
    pub fn all() -> [Guest; 3] {
        [Guest::Bookworm, Guest::Trixie, Guest::Forky]
    }

    /// Those that most whole machines are made of.
    pub fn booted() -> [Guest; 2] {
        [Guest::Trixie, Guest::Forky]
    }

    /// Debian's name of the release, as in apt's sources.
    pub fn suite(self) -> &'static str {
        match self {
            Guest::Bookworm => "bookworm",
            Guest::Trixie => "trixie",
            Guest::Forky => "forky",
        }
    }

    /// The packages that its root filesystem is made of.
    pub fn packages(self) -> &'static [&'static str] {
        PACKAGES
    }

    /// Whether the archive can change under us, so that on some days it cannot be installed.
    pub fn moves(self) -> bool {
        self == Guest::Forky
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suite())
    }
}
