//! What is written, as a list. The texts are libostree's: whoever compares two machines must not see which program wrote them.

use ostree_formats::deployment::Stateroot;

/// Where the units are that the links name. Set while building, like libostree's.
const UNITS: [&str; 2] = match option_env!("FIRSTROOT_UNITDIR") {
    Some(directory) => [directory, "/"],
    None => ["/usr/lib/systemd/system", "/"],
};

/// Where the command is.
const COMMANDS: &str = match option_env!("FIRSTROOT_BINDIR") {
    Some(directory) => directory,
    None => "/usr/bin",
};

/// What decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The stateroot whose `var` is mounted at `/var`; `None`: `/etc/fstab` mounts something there; or why neither is known.
    pub(super) var: Result<Option<Stateroot>, String>,
    /// `/boot` is a directory of the physical root, and has to be mounted.
    pub(super) boot_is_on_the_root: bool,
    /// The boot loader, or the initramfs, counts this boot (firstroot's).
    pub(super) is_trial: bool,
    /// What systemd starts in place of the default target.
    pub(super) unit: Option<String>,
    /// After how many seconds such a boot is not good any more; 0: never.
    pub(super) timeout: Option<u32>,
}

/// Something to make below the directory for units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A directory, unless it exists.
    Directory(&'static str),
    /// A file with this content.
    File(&'static str, String),
    /// A symbolic link, and what it leads to.
    Link(&'static str, String),
}

const REQUIRED: &str = "local-fs.target.requires";
const WANTED: &str = "multi-user.target.wants";
const OF_SYSROOT: &str = "sysroot.mount.d";

/// First what mounts `/var`: if the rest cannot be written, the system still has that.
pub(super) fn plan(facts: &Facts) -> Vec<Item> {
    let mut items = vec![Item::Directory(REQUIRED)];
    if let Ok(Some(stateroot)) = &facts.var {
        items.push(Item::File("var.mount", var_mount(stateroot)));
        items.push(Item::Link("local-fs.target.requires/var.mount", "../var.mount".to_owned()));
    }
    if facts.boot_is_on_the_root {
        items.push(Item::File("boot.mount", BOOT_MOUNT.to_owned()));
        items.push(Item::Link("local-fs.target.requires/boot.mount", "../boot.mount".to_owned()));
    }
    items.extend([
        Item::Link("local-fs.target.requires/ostree-remount.service", unit("ostree-remount.service")),
        Item::Directory(OF_SYSROOT),
        Item::File("sysroot.mount.d/ostree-softreboot.conf", SYSROOT_DROP_IN.to_owned()),
        Item::Directory(WANTED),
        Item::Link("multi-user.target.wants/ostree-boot-complete.service", unit("ostree-boot-complete.service")),
    ]);
    items.extend(facts.unit.iter().flat_map(|unit| after(unit)));
    if facts.is_trial {
        items.extend(of_a_trial());
        items.extend(facts.timeout.into_iter().flat_map(limit));
    }
    items
}

/// A boot that is counted is blessed when it is good, and does not wait for a person when it is not.
fn of_a_trial() -> impl Iterator<Item = Item> {
    const BLESSING: &str = "basic.target.wants/firstroot-bless.service";
    let drop_in = |directory, file| {
        [Item::Directory(directory), Item::File(file, [TRIAL_DROP_IN, COMMANDS, TRIAL_FAILED].concat())]
    };
    const CHECK: &str = "boot-complete.target.requires/firstroot-boot-check.service";
    let links = [
        Item::Directory("basic.target.wants"),
        Item::Link(BLESSING, unit("firstroot-bless.service")),
        Item::Directory("boot-complete.target.requires"),
        Item::Link(CHECK, unit("firstroot-boot-check.service")),
    ];
    links
        .into_iter()
        .chain(drop_in("emergency.service.d", "emergency.service.d/firstroot-trial.conf"))
        .chain(drop_in("rescue.service.d", "rescue.service.d/firstroot-trial.conf"))
        .chain([Item::Directory(OF_SYSTEMD), Item::File(NOT_SYSTEMD, NOT_SYSTEMD_DROP_IN.to_owned())])
}

/// The units that find out whether a boot is good wait for what is started in place of the default target.
fn after(unit: &str) -> Vec<Item> {
    const ASK: [(&str, &str); 3] = [
        (OF_THE_CHECK, "firstroot-boot-check.service.d/firstroot-target.conf"),
        ("firstroot-make-default.service.d", "firstroot-make-default.service.d/firstroot-target.conf"),
        ("firstroot-esp-confirm.service.d", "firstroot-esp-confirm.service.d/firstroot-target.conf"),
    ];
    if AFTER_ALREADY.contains(&unit) {
        return Vec::new();
    }
    // In a unit `%` begins a specifier: no unit has one in its name.
    let text = format!("# Written by firstroot: the kernel command line says it\n[Unit]\nAfter={unit}\n");
    ASK.iter().flat_map(|(directory, file)| [Item::Directory(directory), Item::File(file, text.clone())]).collect()
}

/// The units say so themselves.
const AFTER_ALREADY: [&str; 3] = ["default.target", "graphical.target", "multi-user.target"];

const OF_THE_CHECK: &str = "firstroot-boot-check.service.d";

/// In place of the one in the unit.
fn limit(seconds: u32) -> [Item; 2] {
    let seconds = if seconds == 0 { "infinity".to_owned() } else { format!("{seconds}s") };
    let text = format!("# Written by firstroot: [rollback] timeout= in esp.conf\n[Unit]\nJobTimeoutSec={seconds}\n");
    [Item::Directory(OF_THE_CHECK), Item::File("firstroot-boot-check.service.d/firstroot-timeout.conf", text)]
}

const OF_SYSTEMD: &str = "systemd-bless-boot.service.d";
const NOT_SYSTEMD: &str = "systemd-bless-boot.service.d/firstroot-trial.conf";

/// systemd's own looks for the ESP where OSTree systems do not mount it.
const NOT_SYSTEMD_DROP_IN: &str = "\
# Written by firstroot: firstroot-bless.service does this
[Unit]
ConditionKernelCommandLine=!firstroot.trial
";

const TRIAL_DROP_IN: &str = "\
# Written by firstroot: this boot counts
[Unit]
FailureAction=reboot

[Service]
ExecStartPre=";
const TRIAL_FAILED: &str = "/firstroot esp trial-failed\n";

fn unit(name: &str) -> String {
    UNITS.concat() + name
}

/// In a unit `%` begins a specifier, and two of them are one.
fn var_mount(stateroot: &Stateroot) -> String {
    let stateroot = stateroot.as_str().replace('%', "%%");
    [VAR_MOUNT, &stateroot, "/var\nOptions=bind,slave,shared\n"].concat()
}

const VAR_MOUNT: &str = "\
##
# Automatically generated by ostree-system-generator
##

[Unit]
Documentation=man:ostree(1)
DefaultDependencies=no
ConditionKernelCommandLine=!systemd.volatile
After=local-fs-pre.target sysroot.mount
Before=local-fs.target

[Mount]
Where=/var
What=/sysroot/ostree/deploy/";

const BOOT_MOUNT: &str = "\
##
# Automatically generated by ostree-system-generator
# Bind mount /boot from /sysroot/boot (same partition)
##

[Unit]
Documentation=man:ostree(1)
DefaultDependencies=no
After=local-fs-pre.target sysroot.mount
Before=local-fs.target

[Mount]
Where=/boot
What=/sysroot/boot
Options=bind
";

/// By default a mount is undone before a soft reboot, after which no initramfs mounts it again.
const SYSROOT_DROP_IN: &str = "\
##
# Automatically generated by ostree-system-generator
# Preserve /sysroot across soft-reboot
##

[Unit]
DefaultDependencies=no
After=local-fs-pre.target
Before=local-fs.target
";
