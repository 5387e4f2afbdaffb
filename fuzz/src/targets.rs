//! The targets. Each is a function of bytes that panics when something is not as it has to be.

mod entries;
mod esp;
mod kernel;
mod key_files;
mod labels;
mod loader_files;
mod names;
mod tables;
mod variants;

use std::fmt::Display;

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// On the command line, and as a directory of inputs.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    target("boot-and-policy", finalize_staged::fuzzing::boot_and_policy),
    target("boot-attempts", esp::boot_attempts),
    target("boot-entry", entries::boot_entry),
    target("boot-menu", esp::boot_menu),
    target("booted-state", variants::booted_state),
    target("commit", variants::commit),
    target("cpio", firstroot::fuzzing::cpio),
    target("esp-conf", esp::esp_conf),
    target("etc-before", finalize_staged::fuzzing::etc_before),
    target("file-contexts", labels::file_contexts),
    target("finalize-staged-conf", finalize_staged::fuzzing::finalize_staged_conf),
    target("foreign-entry", entries::foreign_entry),
    target("fstab", prepare_root::fuzzing::fstab),
    target("grub-cfg", loader_files::grub_cfg),
    target("image-object", prepare_root::fuzzing::image_object),
    target("journal", firstroot::fuzzing::journal),
    target("kernel-arguments", kernel::arguments),
    target("kernel-command-line", kernel::command_line),
    target("key-file", key_files::key_file),
    target("load-option", esp::load_option),
    target("mountinfo", tables::mountinfo),
    target("names", names::names),
    target("origin", key_files::origin),
    target("os-release", tables::os_release),
    target("prepare-root-conf", key_files::prepare_root_conf),
    target("program", prepare_root::fuzzing::program),
    target("projected-entry", esp::projected_entry),
    target("public-keys", variants::public_keys),
    target("records", finalize_staged::fuzzing::records),
    target("repo-config", key_files::repo_config),
    target("rollbacks", esp::rollbacks),
    target("signature", variants::signature),
    target("staged-state", variants::staged_state),
    target("stamp", finalize_staged::fuzzing::stamp),
    target("stateroot", real_root::fuzzing::stateroot),
    target("syslinux-cfg", loader_files::syslinux_cfg),
    target("uboot-env", loader_files::uboot_env),
    target("unified-kernel", kernel::unified_kernel),
    target("unit-drop-ins", finalize_staged::fuzzing::unit_drop_ins),
    target("version-order", tables::version_order),
];

/// The target of that name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// What the program would log of an error or a warning: one line that moves no cursor, and not many times the input.
fn is_printable(message: &dyn Display, bytes: &[u8]) {
    let message = message.to_string();
    assert!(message.len() <= 12 * bytes.len() + 1000, "a message of {} bytes", message.len());
    assert!(!system::printable::printable(&message).contains(char::is_control));
}
