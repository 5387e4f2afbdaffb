//! A call that reads and fails is no sign that something is not there.

use std::ffi::OsStr;

use anyhow::{Context, Result, ensure};
use namespace_tests::{Initramfs, inside};

use crate::boot::systemd_in_deployment;
use crate::recovery::links_out_of_step;

const READING: [&str; 9] =
    ["openat2", "openat", "statx", "fstat", "newfstatat", "readlinkat", "getdents64", "read", "faccessat"];

const ERRORS: [(&str, &str); 4] = [
    ("EIO", "Input/output error"),
    ("EMFILE", "Too many open files"),
    ("EACCES", "Permission denied"),
    ("ENOMEM", "Cannot allocate memory"),
];

/// What is said of something that is not there.
const ABSENCE: [&str; 8] = [
    "there is no",
    "which does not exist",
    "nothing is",
    "is not the root",
    "boot links:   none",
    "no boot links",
    "directory is empty",
    "has no",
];

/// A story on a disk on which much is asked for: a missing file of it changes the mount table.
fn again<T: Send>(story: impl FnOnce(&mut Initramfs) -> Result<T> + Send) -> Result<T> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    inside(&binary, None, |initramfs| {
        let disk = &initramfs.disk;
        disk.file("ostree/repo/config", "[sysroot]\nreadonly=true\n")?;
        disk.directory(&format!("{}/.usr-ovl-work", disk.deployment))?;
        disk.directory(&format!("{}/.usr-ovl-upper", disk.deployment))?;
        initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10-boot.conf", "[boot]\nmount=yes\n")?;
        initramfs.write("/run/ostree/initramfs-mount-var", "")?;
        story(initramfs)
    })
}

/// The calls that read in an undisturbed run, each with its number among those of its name.
fn reading_calls<S: AsRef<OsStr>>(initramfs: &Initramfs, arguments: &[S]) -> Result<Vec<(String, usize)>> {
    initramfs.strace(&["-o", "/trace"], arguments)?;
    let trace = initramfs.read("/trace")?;
    let mut numbers = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let name = line.split_once('(').and_then(|(before, _)| before.rsplit(' ').next()).unwrap_or_default();
        let number = numbers.entry(name.to_owned()).and_modify(|number| *number += 1).or_insert(1);
        if READING.contains(&name) {
            calls.push((name.to_owned(), *number));
        }
    }
    Ok(calls)
}

fn injected<S: AsRef<OsStr>>(initramfs: &Initramfs, inject: &str, arguments: &[S]) -> Result<namespace_tests::Outcome> {
    initramfs.strace(&["-o", "/dev/null", "-e", inject], arguments)
}

/// With another mount table nothing succeeds, and nothing is said to be missing.
pub(crate) fn no_error_passes_for_absence() -> Result<()> {
    no_error_passes(|_| Ok(()), by_argument, &["/sysroot/var", "/sysroot/boot"])
}

/// Where the deployment's systemd mounts `/var`, an error does not have it mounted in the initramfs.
pub(crate) fn no_error_hides_the_deployments_systemd() -> Result<()> {
    let systemd = |initramfs: &Initramfs| {
        std::fs::remove_file("/run/ostree/initramfs-mount-var")?;
        systemd_in_deployment(initramfs)?;
        initramfs.set_kernel_command_line(&format!("rw {}\n", initramfs.disk.argument()))
    };
    no_error_passes(systemd, |_| vec!["/sysroot".to_owned()], &["/sysroot/boot"])
}

fn by_argument(initramfs: &Initramfs) -> Vec<String> {
    vec!["/sysroot".to_owned(), initramfs.disk.argument()]
}

/// Where a deployment has to be looked for, it is the same one, or none.
pub(crate) fn no_error_makes_another_deployment_the_one_that_was_meant() -> Result<()> {
    let arrange = |initramfs: &Initramfs| {
        links_out_of_step(initramfs)?;
        let other = initramfs.disk.deploy('b', 0)?;
        initramfs.disk.file(&format!("{other}/usr/lib/modules/6.1/vmlinuz"), "another kernel")
    };
    no_error_passes(arrange, by_argument, &["/sysroot/var", "/sysroot/boot"])
}

/// `mounted` is what is mounted of `/var` and `/boot` if nothing fails.
fn no_error_passes(
    arrange: fn(&Initramfs) -> Result<()>,
    arguments: fn(&Initramfs) -> Vec<String>,
    mounted: &[&str],
) -> Result<()> {
    let (calls, undisturbed) = again(|initramfs| {
        arrange(initramfs)?;
        let calls = reading_calls(initramfs, &arguments(initramfs))?;
        Ok((calls, initramfs.mounts()?))
    })?;
    for path in ["/sysroot/var", "/sysroot/boot"] {
        let is_mounted = undisturbed.lines().any(|line| line.starts_with(&format!("{path} ")));
        ensure!(is_mounted == mounted.contains(&path), "{path}: {undisturbed}");
    }
    ensure!(calls.len() > 40, "{calls:?}");
    let mut refused = 0;
    for (index, (name, number)) in calls.iter().enumerate() {
        // One error for each call: the next one comes with the next call.
        let (error, text) = ERRORS.get(index % ERRORS.len()).context("an error")?;
        let inject = format!("inject={name}:error={error}:when={number}");
        again(|initramfs| {
            arrange(initramfs)?;
            let before = initramfs.mounts()?;
            let outcome = injected(initramfs, &inject, &arguments(initramfs))?;
            if outcome.code == Some(0) {
                assert_eq!(initramfs.mounts()?, undisturbed, "{inject}: {outcome:?}");
                return Ok(());
            }
            refused += 1;
            assert_eq!(initramfs.mounts()?, before, "{inject}: {outcome:?}");
            let told = outcome.told();
            let said = told.lines().rfind(|line| line.contains("cannot boot: ")).unwrap_or_default();
            ensure!(said.contains(text), "{inject}: {said}");
            // That a boot link is missing, where one is, is no wrong report.
            let missing = format!("there is no boot link {}, and", initramfs.disk.bootlink);
            let whole = outcome.report.as_ref().unwrap_or(&outcome.stderr);
            let report = whole.replace(&missing, "");
            let wrong = ABSENCE.iter().find(|words| report.contains(**words));
            ensure!(wrong.is_none(), "{inject}: {wrong:?} in\n{}", outcome.stderr);
            Ok(())
        })?;
    }
    ensure!(refused > 30, "only {refused} calls were refused");
    Ok(())
}

/// Nor does the report of another failure say so, whatever it could not read.
pub(crate) fn a_report_does_not_take_an_error_for_absence() -> Result<()> {
    let arguments = ["/sysroot", "ostree=/ostree/dangling"];
    let calls = again(|initramfs| {
        initramfs.disk.link("ostree/dangling", "deploy/gone")?;
        reading_calls(initramfs, &arguments)
    })?;
    for (name, number) in calls {
        let inject = format!("inject={name}:error=EIO:when={number}");
        again(|initramfs| {
            initramfs.disk.link("ostree/dangling", "deploy/gone")?;
            let outcome = injected(initramfs, &inject, &arguments)?;
            ensure!(outcome.code == Some(1), "{inject}: {outcome:?}");
            // Without the file there is only the screen.
            let whole = match outcome.report {
                Some(_) => ["boot links:   /ostree/boot.1/", "deployments:  0: /ostree/deploy/os/"],
                None => ["deployments:  0 aaaa", "what to do:"],
            };
            let told = outcome.told().contains("Input/output error");
            let complete = whole.iter().all(|line| outcome.told().contains(*line));
            ensure!(told || complete, "{inject}: {}", outcome.stderr);
            let wrong = ["none", "no boot links", "not ostree"].iter().find(|words| outcome.told().contains(**words));
            ensure!(wrong.is_none(), "{inject}: {wrong:?} in\n{}", outcome.stderr);
            Ok(())
        })?;
    }
    Ok(())
}
