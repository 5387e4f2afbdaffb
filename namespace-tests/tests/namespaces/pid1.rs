//! As PID 1 of a PID namespace, with the physical root as `/`, as a kernel without initramfs starts it.
//!
//! One thing is not as there: `/proc` is mounted, since only so the command line can be another than that of this machine.
//! A root without any `/proc` is booted by the whole-machine tests.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use namespace_tests::{Initramfs, listing};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

const NONE: Option<&str> = None;

/// What the deployment's init does: it writes down what it finds.
pub(crate) const INIT: &str = "#!/bin/busybox sh\n\
    /bin/busybox mount -t proc proc /proc\n\
    { echo \"pid $$ arguments $*\"\n\
      /bin/busybox sed -E 's/^([^ ]+ ){4}//; s/ - / /; s/:[0-9]+//; s/ [^ ]+$//' /proc/self/mountinfo\n\
      /bin/busybox ls -d /dev/null /run/ostree-booted /run/ostree\n\
    } > /run/report 2>&1\n";

/// Makes the deployment one that can run, and its disk `/` of this namespace, read-only, with nothing mounted.
pub(crate) fn become_root(initramfs: &Initramfs, cmdline: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let disk = &initramfs.disk;
    let deployment = &disk.deployment;
    disk.directory(&format!("{deployment}/bin"))?;
    std::fs::copy("/host/bin/busybox", disk.path(&format!("{deployment}/bin/busybox"))).context("busybox-static")?;
    disk.directory(&format!("{deployment}/usr/lib/ostree"))?;
    let binary = disk.path(&format!("{deployment}/usr/lib/ostree/ostree-prepare-root"));
    std::fs::copy("/usr/lib/ostree/ostree-prepare-root", binary)?;
    disk.file(&format!("{deployment}/sbin/init"), INIT)?;
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(disk.path(&format!("{deployment}/sbin/init")), executable)?;
    disk.directory("proc")?;
    disk.file("cmdline", cmdline)?;
    initramfs.make_disk_read_only()?;
    std::env::set_current_dir("/sysroot").context("entering the disk")?;
    nix::unistd::pivot_root(".", ".").context("pivot_root")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE)?;
    mount(Some("/cmdline"), "/proc/cmdline", NONE, MsFlags::MS_BIND, NONE)?;
    unshare(CloneFlags::CLONE_NEWPID).context("a PID namespace")?;
    Ok(())
}

pub(crate) fn program(initramfs: &Initramfs) -> String {
    format!("{}/usr/lib/ostree/ostree-prepare-root", initramfs.disk.bootlink)
}

/// What init wrote down. The root of this thread is the new one by now, since it was the old one before.
pub(crate) fn report() -> Result<String> {
    std::fs::read_to_string("/run/report").context("what init wrote")
}

/// Runs it to its end. With no `/dev` there is no `/dev/null` that standard input could be.
/// What was told, as if the screen had no edge.
pub(crate) fn in_one_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn run(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::piped()).output().with_context(|| format!("running {command:?}"))
}

/// The first process of a container may be one that only looks.
pub(crate) fn what_only_looks_executes_nothing(initramfs: &mut Initramfs) -> Result<()> {
    become_root(initramfs, &initramfs.disk.argument())?;
    let output = run(Command::new(program(initramfs)).args(["--check-config", "/"]))?;
    ensure!(output.status.success() && report().is_err(), "{output:?}");
    Ok(())
}

pub(crate) fn an_init_that_cannot_be_executed_is_told_before_anything_is_done(initramfs: &mut Initramfs) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let init = initramfs.disk.path(&format!("{}/sbin/init", initramfs.disk.deployment));
    initramfs.disk.file(&format!("{}/sbin/init", initramfs.disk.deployment), "")?;
    let argument = initramfs.disk.argument();
    become_root(initramfs, &argument)?;
    let inside = Path::new("/").join(init.strip_prefix("/sysroot").unwrap_or(&init));
    mount(NONE, "/", NONE, MsFlags::MS_REMOUNT, NONE)?;
    std::fs::set_permissions(inside, std::fs::Permissions::from_mode(0o644))?;
    let output = run(&mut Command::new(program(initramfs)))?;
    let told = in_one_line(&output);
    ensure!(!output.status.success() && told.contains("/sbin/init"), "{output:?}");
    ensure!(told.contains("deployments: 0 aaaa failed"), "{told}");
    Ok(())
}

/// The kernel would only say that there is no such file, of init itself.
pub(crate) fn an_init_without_its_interpreter_is_told(initramfs: &mut Initramfs) -> Result<()> {
    become_root(initramfs, &initramfs.disk.argument())?;
    mount(NONE, "/", NONE, MsFlags::MS_REMOUNT, NONE)?;
    std::fs::write(format!("/{}/sbin/init", initramfs.disk.deployment), "#!/bin/gone\n")?;
    let output = run(&mut Command::new(program(initramfs)))?;
    let told = in_one_line(&output);
    let words = "cannot be booted: /bin/gone, which /sbin/init needs, cannot be read: No such file or directory";
    ensure!(!output.status.success() && told.contains(words), "{output:?}");
    ensure!(told.contains("deployments: 0 aaaa failed"), "{told}");
    Ok(())
}

pub(crate) fn the_deployments_init_is_executed(initramfs: &mut Initramfs) -> Result<()> {
    become_root(initramfs, &initramfs.disk.argument())?;
    let before = listing(Path::new("/"))?;
    let output = run(Command::new(program(initramfs)).args(["single", "word=1"]))?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report = report()?;
    for line in [
        "pid 1 arguments single word=1\n",
        "/ ro,relatime tmpfs disk\n",
        "/sysroot ro,relatime tmpfs disk\n",
        "/usr ro,relatime tmpfs disk\n",
        "/boot ro,relatime tmpfs disk\n",
        "/run rw,nosuid,nodev tmpfs tmpfs\n",
        "/dev rw,nosuid devtmpfs devtmpfs\n",
        "/dev/null\n/run/ostree\n/run/ostree-booted\n",
    ] {
        ensure!(report.contains(line), "no {line:?} in\n{report}");
    }
    ensure!(report.contains("/var ro,relatime shared tmpfs disk"), "{report}");
    assert_eq!(listing(Path::new("/sysroot"))?, before, "nothing is created on the disk");
    Ok(())
}

pub(crate) fn the_same_features_as_in_an_initramfs(initramfs: &mut Initramfs) -> Result<()> {
    let deployment = initramfs.disk.deployment.clone();
    initramfs.disk.link("ostree/root.a", &deployment.replacen("ostree/", "", 1))?;
    initramfs.disk.file(
        &format!("{deployment}/etc/ostree/prepare-root.conf"),
        "[sysroot]\nreadonly=true\n[etc]\ntransient=true\n",
    )?;
    become_root(initramfs, "androidboot.slot_suffix=_a")?;
    let output = run(&mut Command::new(program(initramfs)))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && told.lines().count() == 1, "{output:?}");
    ensure!(told.contains("changes in /etc are lost"), "{output:?}");
    let report = report()?;
    for line in [
        "/etc rw,relatime overlay overlay",
        "/sysroot/ostree/deploy/os/var rw,relatime tmpfs disk",
        "/sysroot ro,relatime",
    ] {
        ensure!(report.contains(line), "no {line:?} in\n{report}");
    }
    ensure!(report.contains("/var rw,relatime shared tmpfs disk"), "{report}");
    Ok(())
}

pub(crate) fn a_root_without_dev_and_console_boots(initramfs: &mut Initramfs) -> Result<()> {
    become_root(initramfs, &initramfs.disk.argument())?;
    ensure!(!Path::new("/dev").exists());
    let shell = format!("/{}/bin/busybox", initramfs.disk.deployment);
    let script = format!("exec {} single <&- >&- 2>&-", program(initramfs));
    let output = run(Command::new(shell).args(["sh", "-c", &script]))?;
    ensure!(output.status.success(), "{output:?}");
    let report = report()?;
    ensure!(report.starts_with("pid 1 arguments single\n"), "{report}");
    Ok(())
}

pub(crate) fn a_failure_is_told_and_ends(initramfs: &mut Initramfs) -> Result<()> {
    become_root(initramfs, "ostree=/ostree/boot.0/os/nothing/0")?;
    let output = run(&mut Command::new(program(initramfs)))?;
    let told = in_one_line(&output);
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(told.contains("cannot boot: there is no boot link /ostree/boot.0/os/nothing/0"), "{told}");
    ensure!(told.contains("add: firstroot.deployment=0"), "{told}");
    // /run is a directory of the disk.
    ensure!(!Path::new("/run/ostree/boot-failure").exists());
    ensure!(!told.contains("in this shell"), "there is no shell: {told}");
    Ok(())
}
