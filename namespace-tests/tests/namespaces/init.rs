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
    let words = ["it has no init: none of these files exists: /usr/lib/systemd/systemd, ", "deploy a tree that has"];
    refused(initramfs, &["--systemd=yes", "/sysroot", &argument], &words)?;
    // A script may execute something else, and a warning has to do.
    let outcome = initramfs.run(["--systemd=no", "/sysroot", &argument])?;
    ensure!(outcome.code == Some(0) && outcome.told().contains("it has no init"), "{outcome:?}");
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
    // A script may execute something else.
    let outcome = initramfs.run(["--systemd=no", "/sysroot", &argument])?;
    ensure!(outcome.code == Some(0) && outcome.told().contains("/sbin/init cannot be read: Too many"), "{outcome:?}");
    initramfs.start_over()
}

/// Without `init=` systemd goes on with itself, and with `/sbin/init` only if it cannot.
pub(crate) fn systemd_counts_before_sbin_init(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    let arguments = ["--systemd=yes", "/sysroot", argument.as_str()];
    let systemd = format!("{}/usr/lib/systemd/systemd", disk.deployment);
    // Only one of the two is whole.
    disk.file(&systemd, "systemd")?;
    disk.file(&init(initramfs), "#!/bin/script\n")?;
    boots(initramfs, &arguments)?;
    disk.file(&systemd, "#!/bin/script\n")?;
    disk.file(&init(initramfs), "init")?;
    let outcome = initramfs.run(arguments)?;
    let told = "/bin/script, which /usr/lib/systemd/systemd needs, cannot be read: No such file";
    ensure!(outcome.code == Some(0) && outcome.told().contains(told), "{outcome:?}");
    initramfs.start_over()?;
    disk.remove(&init(initramfs))?;
    refused(initramfs, &arguments, &[told])?;
    Ok(())
}

pub(crate) fn what_init_needs_first_is_read_too(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    let arguments = ["--systemd=yes", "/sysroot", argument.as_str()];
    let without_systemd = ["--systemd=no", "/sysroot", argument.as_str()];
    disk.file(&init(initramfs), "#!/bin/script\n")?;
    let told = "/bin/script, which /sbin/init needs, cannot be read: No such file";
    refused(initramfs, &arguments, &[told])?;
    let outcome = initramfs.run(without_systemd)?;
    ensure!(outcome.code == Some(0) && outcome.told().contains(told), "{outcome:?}");
    initramfs.start_over()?;
    let script = format!("{}/bin/script", disk.deployment);
    disk.directory(&format!("{}/bin", disk.deployment))?;
    std::fs::copy("/host/usr/bin/env", disk.path(&script)).context("a program of the host")?;
    let loader = format!("/{LOADER}, which /bin/script needs, cannot be read: No such file");
    refused(initramfs, &arguments, &[&loader, "the tree lacks a package"])?;
    disk.file(&format!("{}/{LOADER}", disk.deployment), "loader")?;
    boots(initramfs, &arguments)
}

/// Any call that reads init and fails; another program that is whole does not stand in.
pub(crate) fn a_disk_that_fails_at_init_is_told(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let disk = &initramfs.disk;
    disk.file(&format!("{}/usr/lib/systemd/systemd", disk.deployment), "systemd")?;
    let argument = disk.argument();
    let systemd = ["--systemd=yes", "/sysroot", argument.as_str()];
    let script = ["--systemd=no", "/sysroot", argument.as_str()];
    for (arguments, program) in [(systemd, "/usr/lib/systemd/systemd"), (script, "/sbin/init")] {
        let outcome = initramfs.strace(&["-o", "/trace", "-e", "trace=openat2,read"], arguments)?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        initramfs.start_over()?;
        let trace = initramfs.read("/trace")?;
        let lines: Vec<&str> = trace.lines().collect();
        let opened = lines.iter().position(|line| line.contains(&format!("\"{program}\"")));
        let opened = opened.context("it is not opened")?;
        for (call, last) in [("openat2(", opened), ("read(", opened + 1)] {
            let is_call = |line: &&&str| line.contains(call);
            ensure!(lines.get(last).is_some_and(|line| line.contains(call)), "{trace}");
            let number = lines.iter().take(last + 1).filter(is_call).count();
            let inject = format!("inject={}:error=EIO:when={number}", call.trim_end_matches('('));
            let before = initramfs.mounts()?;
            let outcome = initramfs.strace(&["-o", "/dev/null", "-e", &inject], arguments)?;
            let told = format!("{program} cannot be read: Input/output error");
            ensure!(outcome.code == Some(1) && outcome.told().contains(&told), "{outcome:?}");
            let cause = "likely cause: the disk fails, or the deployment is damaged";
            ensure!(outcome.told().contains(cause), "{outcome:?}");
            assert_eq!(initramfs.mounts()?, before);
        }
        boots(initramfs, &arguments)?;
    }
    Ok(())
}

/// `init=` names another program than `/sbin/init`; ours is none that anything could go on with.
pub(crate) fn init_of_the_command_line_counts(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    disk.link(&format!("{}/opt/init", disk.deployment), "init")?;
    let with = |named: &str| initramfs.run(["--systemd=yes", "/sysroot", &format!("{argument} init={named}")]);
    for (named, reason) in [("/opt/init", "Too many levels of symbolic links"), ("/opt/missing", "No such file")] {
        let outcome = with(named)?;
        let told = format!("init={named} cannot be read: {reason}");
        ensure!(outcome.code == Some(0) && outcome.told().contains(&told), "{outcome:?}");
        ensure!(outcome.told().contains("correct or remove init= in the boot menu"), "{outcome:?}");
        initramfs.start_over()?;
    }
    for named in ["/opt/init/ostree-prepare-root", "init"] {
        let outcome = with(named)?;
        ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "{outcome:?}");
        initramfs.start_over()?;
    }
    disk.remove(&init(initramfs))?;
    for named in ["/opt/init", "/opt/missing"] {
        let own = format!("{argument} init={named}");
        let words = [&format!("it has no init: none of these files exists: {named}, /sbin/init, ")[..]];
        refused(initramfs, &["--systemd=yes", "/sysroot", &own], &words)?;
    }
    disk.file(&format!("{}/opt/script", disk.deployment), "#!/bin/script\n")?;
    let own = format!("{argument} init=/opt/script");
    refused(
        initramfs,
        &["--systemd=yes", "/sysroot", &own],
        &["/bin/script, which /opt/script needs, cannot be read"],
    )?;
    Ok(())
}

/// This machine's kernel has no fs-verity: no file of the image can be read.
pub(crate) fn an_image_of_which_no_file_can_be_read_stops(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[composefs]\nenabled=verity\n")?;
    let words = [
        "cannot be booted: /sbin/init cannot be read: Input/output error",
        "likely cause: fs-verity is required ([composefs] enabled)",
        "ex-integrity.fsverity=yes",
        "ostree.prepare-root.composefs=no",
        "--verify /sysroot",
    ];
    refused_boot(initramfs, &words)?;
    // With a transient root an image is needed, and the argument would be refused.
    let argument = format!("{} ostree.prepare-root.composefs=no", initramfs.disk.argument());
    initramfs.configure("[root]\ntransient=true\n[composefs]\nenabled=verity\n")?;
    let outcome = refused_boot(initramfs, &["likely cause: fs-verity is required"])?;
    ensure!(!outcome.told().contains("composefs="), "{outcome:?}");
    refused(initramfs, &["/sysroot", &argument], &["in the boot menu remove ostree.prepare-root.composefs="])?;
    initramfs.configure("[composefs]\nenabled=verity\n")?;
    let outcome = initramfs.run(["/sysroot", &argument])?;
    ensure!(outcome.code == Some(0), "with what the report says it boots: {outcome:?}");
    Ok(())
}
