//! A root is only put into place when its init, and what that needs first, can be read.

use anyhow::{Context, Result, ensure};
use namespace_tests::Initramfs;

use crate::bad_input::{refused, refused_boot};

const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// A deployment with only this as `/sbin/init`.
fn init(initramfs: &Initramfs) -> String {
    format!("{}/sbin/init", initramfs.disk.deployment)
}

fn boots(initramfs: &Initramfs, arguments: &[&str]) -> Result<()> {
    let outcome = initramfs.run(arguments)?;
    ensure!(outcome.code == Some(0), "{arguments:?}: {outcome:?}");
    initramfs.start_over()
}

pub(crate) fn a_root_without_any_init_stops(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    initramfs.disk.remove(&init(initramfs))?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    let words = ["it has no init: none of the files /sbin/init, /usr/lib/systemd/systemd, ", "deploy a tree that has"];
    refused(initramfs, &["--systemd=yes", "/sysroot", &argument], &words)?;
    // A script may execute something else, and a warning has to do.
    let outcome = initramfs.run(["--systemd=no", "/sysroot", &argument])?;
    ensure!(outcome.code == Some(0) && outcome.stderr.contains("it has no init"), "{outcome:?}");
    initramfs.start_over()?;
    // systemd finds itself, and what init= names.
    disk.file(&format!("{}/usr/lib/systemd/systemd", disk.deployment), "systemd")?;
    boots(initramfs, &["--systemd=yes", "/sysroot", &argument])?;
    disk.remove(&format!("{}/usr/lib/systemd/systemd", disk.deployment))?;
    disk.file(&format!("{}/opt/init", disk.deployment), "init")?;
    boots(initramfs, &["--systemd=yes", "/sysroot", &format!("{argument} init=/opt/init")])
}

pub(crate) fn links_of_init_are_followed_in_the_new_root(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    let arguments = ["--systemd=yes", "/sysroot", &argument];
    disk.remove(&init(initramfs))?;
    disk.link(&init(initramfs), "/usr/lib/real-init")?;
    initramfs.write("/usr/lib/real-init", "that of the initramfs does not count")?;
    refused(initramfs, &arguments, &["it has no init"])?;
    disk.file(&format!("{}/usr/lib/real-init", disk.deployment), "init")?;
    boots(initramfs, &arguments)?;
    disk.remove(&init(initramfs))?;
    disk.link(&init(initramfs), "init")?;
    refused(initramfs, &arguments, &["/sbin/init cannot be read: Too many levels of symbolic links"])?;
    Ok(())
}

pub(crate) fn what_init_needs_first_is_read_too(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    let arguments = ["/sysroot", argument.as_str()];
    disk.file(&init(initramfs), "#!/bin/script\n")?;
    refused(initramfs, &arguments, &["/bin/script, which /sbin/init needs, cannot be read: No such file"])?;
    let script = format!("{}/bin/script", disk.deployment);
    disk.directory(&format!("{}/bin", disk.deployment))?;
    std::fs::copy("/host/usr/bin/env", disk.path(&script)).context("a program of the host")?;
    let loader = format!("/{LOADER}, which /bin/script needs, cannot be read: No such file");
    refused(initramfs, &arguments, &[&loader, "the tree lacks a package"])?;
    disk.file(&format!("{}/{LOADER}", disk.deployment), "loader")?;
    boots(initramfs, &arguments)
}

/// Any call that reads init, or the loader, and fails.
pub(crate) fn a_disk_that_fails_at_init_is_told(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let argument = initramfs.disk.argument();
    let outcome = initramfs.strace(&["-o", "/trace", "-e", "trace=openat2,read"], ["/sysroot", &argument])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    initramfs.start_over()?;
    let trace = initramfs.read("/trace")?;
    let lines: Vec<&str> = trace.lines().collect();
    let opened = lines.iter().position(|line| line.contains("\"/sbin/init\"")).context("it is not opened")?;
    for (call, last) in [("openat2(", opened), ("read(", opened + 1)] {
        let is_call = |line: &&&str| line.contains(call);
        ensure!(lines.get(last).is_some_and(|line| line.contains(call)), "{trace}");
        let number = lines.iter().take(last + 1).filter(is_call).count();
        let inject = format!("inject={}:error=EIO:when={number}", call.trim_end_matches('('));
        let before = initramfs.mounts()?;
        let outcome = initramfs.strace(&["-o", "/dev/null", "-e", &inject], ["/sysroot", &argument])?;
        let told = "/sbin/init cannot be read: Input/output error";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(told), "{outcome:?}");
        ensure!(outcome.stderr.contains("likely cause: the disk fails, or the deployment is damaged"), "{outcome:?}");
        assert_eq!(initramfs.mounts()?, before);
    }
    boots(initramfs, &["/sysroot", &argument])
}

/// `init=` names another program than `/sbin/init`; ours is none that anything could go on with.
pub(crate) fn init_of_the_command_line_counts(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    disk.link(&format!("{}/opt/init", disk.deployment), "init")?;
    let own = format!("{argument} init=/opt/init");
    refused(initramfs, &["/sysroot", &own], &["/opt/init cannot be read: Too many levels"])?;
    for named in ["/opt/missing", "/opt/init/ostree-prepare-root", "init"] {
        boots(initramfs, &["/sysroot", &format!("{argument} init={named}")])?;
    }
    Ok(())
}

/// This machine's kernel has no fs-verity: no file of the image can be read.
pub(crate) fn an_image_of_which_no_file_can_be_read_stops(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[composefs]\nenabled=verity\n")?;
    let words = [
        "would not boot: /sbin/init cannot be read: Input/output error",
        "likely cause: fs-verity is demanded ([composefs] enabled)",
        "ex-integrity.fsverity=yes",
        "ostree.prepare-root.composefs=no",
        "--verify /sysroot",
    ];
    refused_boot(initramfs, &words)?;
    let argument = format!("{} ostree.prepare-root.composefs=no", initramfs.disk.argument());
    let outcome = initramfs.run(["/sysroot", &argument])?;
    ensure!(outcome.code == Some(0), "with what the report says it boots: {outcome:?}");
    Ok(())
}
