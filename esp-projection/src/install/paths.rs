//! Names that `install` writes.

/// Where the boot loader's settings are.
pub const LOADER_CONF: &str = "loader/loader.conf";
/// Says that `loader/entries` has entries of the Boot Loader Specification.
pub const ENTRIES_SREL: &str = "loader/entries.srel";
/// Where systemd-boot is.
pub const PROGRAMS: &str = "EFI/systemd";
/// The file that `install` writes if there is no `esp.conf`.
pub const CONFIGURATION: &str = "# written by firstroot esp install: esp.conf(5)\n[esp]\nenabled=yes\n";
