//! The formats of an OSTree system: bytes and text to values, and back.
//!
//! Nothing here reads a file, asks the kernel, or knows where its input came from; that makes it the part that fuzzers
//! and property tests eat. Whatever can be wrong on a disk has a type that only parsing can make.
//!
//! | module | format |
//! | --- | --- |
//! | [`cmdline`] | kernel command line: which deployment was asked for |
//! | [`keyfile`] | GLib's key files, by GLib's rules |
//! | [`prepare_root_conf`] | `prepare-root.conf` and its drop-ins |
//! | [`repo_config`] | what matters of a repository's `config` at boot and at shutdown |
//! | [`bootlink`] | `ostree/boot.N/STATEROOT/BOOTCSUM/BOOTSERIAL` |
//! | [`deployment`] | `ostree/deploy/STATEROOT/deploy/CHECKSUM.DEPLOYSERIAL` |
//! | [`origin`] | where a deployment came from |
//! | [`booted_state`] | `/run/ostree-booted`, a GVariant |
//! | [`staged_state`] | `/run/ostree/staged-deployment`, a GVariant |
//! | [`commit`] | commit objects, a GVariant: their version |
//! | [`file_object`] | what the checksum of a file's object is of |
//! | [`bls`], [`entry_name`], [`version_order`] | boot loader entries, their file names, their order |
//! | [`kargs`] | the kernel arguments of an entry |
//! | [`os_release`] | what a tree calls itself |
//! | [`mountinfo`] | `/proc/self/mountinfo` |

pub mod bls;
pub mod booted_state;
pub mod bootlink;
pub mod cmdline;
pub mod commit;
pub mod deployment;
pub mod entry_name;
pub mod file_object;
pub mod kargs;
pub mod keyfile;
pub mod mountinfo;
pub mod origin;
pub mod os_release;
pub mod prepare_root_conf;
pub mod repo_config;
pub mod signature;
pub mod staged_state;
mod variant;
pub mod version_order;
