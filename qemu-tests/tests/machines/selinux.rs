//! SELinux in enforcing mode: labels as libostree's finalizer gives them, no denial, and a machine's own policy in force after an update.
//!
//! The update's policy has a type that the running one does not know, and a file of `/etc` has it: see `guest/newer-policy.cil`.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use qemu_tests::cache::{Cache, directory_of_this_checkout};
use qemu_tests::guest::Guest;
use qemu_tests::labels::{Difference, Labels};
use qemu_tests::namespace::{Namespace, quoted};
use qemu_tests::report::Report;
use qemu_tests::rootfs::Rootfs;
use qemu_tests::staging::script;
use qemu_tests::sysroot::Sysroot;

use crate::shutdown::{DONE, is_of_version, last, succeeded};
use crate::{contains, scenario};

/// Stages the update.
const STAGE: &str = "
ostree admin deploy --os=default --stage $arguments firstroot/newer
";

/// `audited` is what the kernel would have denied, or has.
const PREPARED: &str = "
prepared ^Finished
# What must be in the log: else nothing would be denied where nothing is logged.
runcon --type=dmesg_t true || true
audited >denials-before-shutdown
";

/// What an administrator has changed before the first boot: a module of his own, and a boolean. The guest's programs do it on the disk
/// at `/target`, where they take seconds and not minutes; labels are given as when the disk was made.
const MODIFY: &str = "
deployment=$(echo /target/ostree/deploy/default/deploy/*.0)
mount --bind $deployment/etc/selinux /etc/selinux
echo '(type firstroot_local_t)(roletype object_r firstroot_local_t)(typeattributeset file_type (firstroot_local_t))' \
    >/run/firstroot-local.cil
semodule --noreload --install=/run/firstroot-local.cil
setsebool -N -P allow_ftpd_full_access on
setfiles -F -r $deployment /etc/selinux/default/contexts/files/file_contexts $deployment/etc/selinux
";

/// Puts libostree's program back into its unit. Nothing is prepared for it.
const BY_LIBOSTREE: &str = "
systemctl stop $unit.path
drop_ins=/run/systemd/system/ostree-finalize-staged.service.d; mkdir -p $drop_ins
printf '[Service]\\nExecStop=\\nExecStop=/usr/bin/ostree admin finalize-staged\\n' >$drop_ins/99-libostree.conf
systemctl daemon-reload
";

/// After the update: the mode, who has finalized, what was denied on the way, and whether the newer policy is in force.
const LOOK: &str = "
getenforce
before ostree-finalize-staged.service
journalctl --boot=-1 --dmesg --output=cat | grep avc: >denials-of-shutdown || true
audited >denials
stat --format='%n %C' /etc/newer.conf /etc/shadow /etc/selinux/config
";

/// Whether the administrator's module and boolean are in force. A type that the policy does not know would be refused.
const LOOK_FOR_CHANGES: &str = "
semodule --list-modules | grep firstroot-local
getsebool allow_ftpd_full_access
touch /var/tmp/local; chcon --type=firstroot_local_t /var/tmp/local; stat --format='%n %C' /var/tmp/local
";

const FUNCTIONS: &str = "audited() { dmesg | grep avc: || true; }\narguments=\n";

/// A difference from libostree's labels that is meant.
struct Meant {
    #[allow(dead_code, reason = "says why, for who reads it")]
    why: &'static str,
    is: fn(&Difference) -> bool,
}

const MEANT: &[Meant] = &[
    Meant {
        why: "semodule leaves its lock files and its last directory behind; ours removes what no commit has",
        is: |difference| difference.after.is_none() && in_policy(difference).is_some_and(is_left_behind),
    },
    Meant {
        why: "semodule labels by the path that a file has while it works; ours labels by the path that it has afterwards",
        is: |difference| {
            difference.after.is_some() && in_policy(difference).is_some_and(|name| name.starts_with("default/"))
        },
    },
    Meant {
        why: "ours is a second name of the tree's file, and its label is the tree's; libostree copies, since the system's /boot is a mount",
        is: |difference| {
            difference.path.starts_with("boot/ostree/")
                && difference.before == Some("system_u:object_r:boot_t:s0")
                && difference.after == Some("system_u:object_r:modules_object_t:s0")
        },
    },
];

/// The path below `/etc/selinux`.
fn in_policy<'a>(difference: &'a Difference<'a>) -> Option<&'a str> {
    difference.path.split_once("/etc/selinux/").map(|(_, name)| name)
}

fn is_left_behind(name: &str) -> bool {
    name.split('/').next() == Some("final") || name.ends_with(".LOCK")
}

/// What one machine has come to.
struct Outcome {
    reports: Vec<Report>,
    labels: Labels,
}

/// What is done to the disk before the first boot.
type Change = fn(Guest, &Path) -> Result<()>;

/// The administrator's changes.
fn modify(guest: Guest, root: &Path) -> Result<()> {
    let rootfs = Rootfs::of(guest, &Cache::open()?)?;
    let namespace = Namespace::of(&rootfs.path()).mounted(&format!("--rbind {}", quoted(root)), "/target");
    namespace.run(MODIFY).context("changing the policy").map(drop)
}

/// The first boot only writes down what it would deny.
fn make_permissive(_: Guest, root: &Path) -> Result<()> {
    Sysroot::at(root).append_kernel_argument("enforcing=0")
}

/// Boots the machine once for each script, and reads the labels on its disk when it is off.
fn run(guest: Guest, whose: &str, change: Change, scripts: &[&str]) -> Result<Outcome> {
    let scripts: Vec<String> = scripts.iter().map(|text| script(&format!("{FUNCTIONS}{text}"))).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let found: Rc<RefCell<Labels>> = Rc::default();
    let labels = Rc::clone(&found);
    let machine = scenario(guest, "denials-are-logged")?
        .with_disk_changed_by(move |root| change(guest, root))
        .with_disk_looked_at_by(move |root| {
            *labels.borrow_mut() = Labels::on(root)?;
            Ok(())
        });
    let reports = machine.run_scripts(&scripts)?;
    let labels = found.take();
    let list = directory_of_this_checkout("runs")?.join(format!("labels-{guest}-{whose}"));
    fs::write(&list, labels.lines()).with_context(|| format!("writing {}", list.display()))?;
    succeeded(&reports)?;
    Ok(Outcome { reports, labels })
}

/// Finalized by libostree and not booted again; finalized by ours, and booted.
fn both(guest: Guest, name: &str, change: Change, before: &str, after: &str) -> Result<Report> {
    let stage = format!("{before}{STAGE}");
    let theirs = run(guest, &format!("{name}-libostree"), change, &[&format!("{BY_LIBOSTREE}{stage}")])?;
    let after = format!("{LOOK}{after}");
    let ours = run(guest, &format!("{name}-ours"), change, &[&format!("{stage}{PREPARED}"), &after])?;
    same_labels(&theirs.labels, &ours.labels)?;
    let report = last(&ours.reports)?;
    is_of_version(report, "2")?;
    finalized_by_ours(&report.script_output()?)?;
    contains(&report.script_output()?, "Enforcing\n")?;
    contains(&report.script_output()?, "/etc/newer.conf system_u:object_r:firstroot_newer_t:s0\n")?;
    contains(&report.script_output()?, "/etc/shadow system_u:object_r:shadow_t:s0\n")?;
    nothing_was_denied(&ours.reports)?;
    Ok(report.clone())
}

fn finalized_by_ours(output: &str) -> Result<()> {
    ensure!(output.contains(DONE), "{output}");
    // `--prepare` has built the policy, if the machine had changed it.
    ensure!(!output.contains("semodule:") && !output.contains("cannot be used"), "{output}");
    Ok(())
}

fn same_labels(theirs: &Labels, ours: &Labels) -> Result<()> {
    let finalized = theirs.iter().filter(|(path, _)| path.starts_with("boot/ostree/")).count();
    ensure!(finalized >= 4, "libostree has not finalized: {finalized} files in /boot/ostree");
    let differences = theirs.differences(ours);
    let unknown: Vec<_> = differences.iter().filter(|one| !MEANT.iter().any(|meant| (meant.is)(one))).collect();
    ensure!(unknown.is_empty(), "labels, libostree's before ours:\n{unknown:#?}");
    Ok(())
}

/// Of what ours does, from the first boot to the last: by the names of its programs, and by the domain that they are in.
fn nothing_was_denied(reports: &[Report]) -> Result<()> {
    let [first, second] = reports else { anyhow::bail!("two boots") };
    contains(&first.text("denials-before-shutdown")?, ":dmesg_t:")?;
    for (report, name) in [(first, "denials-before-shutdown"), (second, "denials-of-shutdown"), (second, "denials")] {
        let text = report.text(name)?;
        let of_ours = ["comm=\"ostree-finalize", "comm=\"ostree-prepare", ":install_t:"];
        let ours: Vec<&str> = text.lines().filter(|line| of_ours.iter().any(|part| line.contains(part))).collect();
        ensure!(ours.is_empty(), "{name}:\n{}", ours.join("\n"));
    }
    Ok(())
}

/// A machine with a module and a boolean of its own.
pub(crate) fn modified(guest: Guest) -> Result<()> {
    let report = both(guest, "modified", modify, "", LOOK_FOR_CHANGES)?;
    let output = report.script_output()?;
    contains(&output, "firstroot-local\n")?;
    contains(&output, "allow_ftpd_full_access --> on\n")?;
    contains(&output, "/var/tmp/local system_u:object_r:firstroot_local_t:s0\n")
}

/// Permissive until the update is there, and enforcing with it.
pub(crate) fn untouched(guest: Guest) -> Result<()> {
    let whole = "diff -r /usr/etc/selinux /etc/selinux && echo the policy is whole\n";
    let report = both(guest, "untouched", make_permissive, "arguments=--karg-delete=enforcing=0\n", whole)?;
    contains(&report.script_output()?, "the policy is whole\n")
}
