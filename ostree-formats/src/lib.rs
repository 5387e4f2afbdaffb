//! The formats of an OSTree system: turns bytes and text into values, and back.
//!
//! Nothing here reads a file or calls the kernel, so fuzzers and property tests can run all of it. Values that may be wrong on a
//! disk have types that only parsing can make.
//!
//! | module | format |
//! | --- | --- |
//! | [`cmdline`] | kernel command line: which deployment was requested |
//! | [`keyfile`] | GLib's key files, by GLib's rules |
//! | [`prepare_root_conf`] | `prepare-root.conf` and its drop-ins |
//! | [`repo_config`] | the part of a repository's `config` that boot and shutdown need |
//! | [`bootlink`] | `ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL` |
//! | [`deployment`] | `ostree/deploy/STATEROOT/deploy/CHECKSUM.DEPLOYSERIAL` |
//! | [`origin`] | where a deployment came from |
//! | [`booted_state`] | `/run/ostree-booted`, a GVariant |
//! | [`staged_state`] | `/run/ostree/staged-deployment`, a GVariant |
//! | [`commit`] | commit objects, a GVariant: their version |
//! | [`file_object`] | the header that is in the checksum of a file's object |
//! | [`bls`], [`entry_name`], [`version_order`] | boot loader entries, their file names, their order |
//! | [`projected_entry`] | boot loader entries on an ESP |
//! | [`rollbacks`] | updates that were rolled back, and attempts to boot them |
//! | [`syslinux`], [`uboot`] | the files of boot loaders that do not read entries: their text for a list of entries |
//! | [`grub_cfg`] | what a script of GRUB names |
//! | [`kargs`] | the kernel arguments of an entry |
//! | [`unified_kernel`] | EFI programs with kernel and initramfs |
//! | [`os_release`] | the name of a tree |
//! | [`mountinfo`] | `/proc/self/mountinfo` |

pub mod bls;
pub mod boot_attempts;
pub mod booted_state;
pub mod bootlink;
pub mod cmdline;
pub mod commit;
pub mod deployment;
pub mod entry_name;
pub mod file_object;
pub mod fstab;
pub mod grub_cfg;
pub mod grub_menu;
pub mod kargs;
pub mod keyfile;
pub mod mountinfo;
pub mod origin;
pub mod os_release;
pub mod prepare_root_conf;
pub mod projected_entry;
pub mod repo_config;
pub mod rollbacks;
pub mod signature;
pub mod staged_state;
pub mod syslinux;
pub mod uboot;
pub mod unified_kernel;
mod variant;
pub mod version_order;
