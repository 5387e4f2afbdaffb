//! An update that is on trial, where the boot loader does not count.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use namespace_tests::{Initramfs, Outcome, bootcsum_of};
use ostree_sysroot::list_digest;

const RECORD: &str = "ostree/boot-attempts/record";
const COUNT: &str = "ostree/boot-attempts/count";
const TWICE: &str = "[rollback]\ntries=2\n";

/// The disk's deployment is on trial, and another one was good before; its path.
fn on_trial(initramfs: &Initramfs, list: Option<&str>) -> Result<String> {
    initramfs.keep_disk()?;
    initramfs.configure(TWICE)?;
    let disk = &initramfs.disk;
    let older = older(initramfs)?;
    let list = list.map(|digest| format!("list={digest}\n")).unwrap_or_default();
    disk.file(RECORD, format!("trial=/{}\nfallback=/{older}\n{list}good=/{older}\n", disk.deployment))?;
    disk.file(COUNT, "\n".repeat(512))?;
    Ok(older)
}

/// The deployment that was good before.
fn older(initramfs: &Initramfs) -> Result<String> {
    let path = format!("ostree/deploy/os/deploy/{}.0", "b".repeat(64));
    if initramfs.disk.path(&path).exists() { Ok(path) } else { initramfs.disk.deploy('b', 0) }
}

/// The modules of the kernel that runs.
fn with_this_kernel(initramfs: &Initramfs, deployment: &str) -> Result<()> {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    initramfs.disk.directory(&format!("{deployment}/usr/lib/modules/{kernel}"))
}

fn counted(initramfs: &Initramfs) -> Result<String> {
    let text = fs::read_to_string(initramfs.disk.path(COUNT))?;
    ensure!(text.len() == 512, "{text:?}");
    Ok(text.trim_end().to_owned())
}

fn attempts(initramfs: &Initramfs, number: u32) -> Result<()> {
    let expected = format!("deployment=/{}\nattempts={number}\ntries=2", initramfs.disk.deployment);
    let found = counted(initramfs)?;
    ensure!(found == expected, "{found}");
    Ok(())
}

/// Whether it booted as an attempt of this number, or as none.
fn is_root(initramfs: &Initramfs, outcome: &Outcome, deployment: &str, attempt: Option<u32>) -> Result<()> {
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let table = initramfs.mounts()?;
    ensure!(table.contains(&format!("/sysroot tmpfs of /{deployment} ")), "{table}\n{outcome:?}");
    let says = fs::read_to_string("/run/ostree/boot-count")?;
    let attempt_line = attempt.map(|attempt| format!("attempt={attempt}\n")).unwrap_or_default();
    ensure!(says == format!("tries=2\n{attempt_line}"), "{says}");
    let is_trial = fs::exists("/run/ostree/boot-trial")?;
    ensure!(is_trial == attempt.is_some(), "{is_trial}: {outcome:?}");
    let reboots = fs::exists("/run/systemd/system.conf.d/50-firstroot-trial.conf")?;
    ensure!(reboots == is_trial, "a crash {reboots}");
    let seconds = fs::read_to_string("/usr/panic")?;
    ensure!(seconds == if is_trial { "30" } else { "0\n" }, "a panic: {seconds:?}");
    Ok(())
}

/// Uses up the two attempts.
fn try_twice(initramfs: &Initramfs) -> Result<()> {
    for attempt in [1, 2] {
        let outcome = initramfs.boot()?;
        // Inside the new root.
        is_root(initramfs, &outcome, &initramfs.disk.deployment, Some(attempt))?;
        initramfs.start_over()?;
        attempts(initramfs, attempt)?;
    }
    Ok(())
}

pub(crate) fn an_update_is_tried_as_often_as_it_may_be_and_then_the_older_one_boots(
    initramfs: &mut Initramfs,
) -> Result<()> {
    let older = on_trial(initramfs, None)?;
    with_this_kernel(initramfs, &older)?;
    let plan = initramfs.run(["--plan", "--json", "/sysroot", &initramfs.disk.argument()])?;
    json_schemas::require("prepare-root-plan", &serde_json::from_str(&plan.stdout)?)?;
    ensure!(plan.stdout.contains("\"do\": \"count\"") && counted(initramfs)?.is_empty(), "{plan:?}");
    try_twice(initramfs)?;
    for _ in 0..2 {
        let outcome = initramfs.boot()?;
        is_root(initramfs, &outcome, &older, None)?;
        let told = format!("/{} did not come up, tried 2 times: booting /{older}", initramfs.disk.deployment);
        ensure!(outcome.stderr.contains(&told), "{outcome:?}");
        // The unit runs again, and asks for the update.
        let again = initramfs.boot()?;
        ensure!(again.code == Some(0) && again.stderr.contains("already prepared"), "{again:?}");
        initramfs.start_over()?;
        attempts(initramfs, 2)?;
    }
    // The record is of another one now, as after the next update.
    let disk = &initramfs.disk;
    disk.file(RECORD, format!("trial=/{older}\nfallback=/{}\n", disk.deployment))?;
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &disk.deployment, None)
}

/// The digest of the active list.
fn digest(initramfs: &Initramfs) -> Result<String> {
    let boot = fs::File::open(initramfs.disk.path("boot"))?;
    Ok(list_digest::active(boot)?.context("no list")?.digest.to_string())
}

/// Both lists, and the digest of the active one. The older deployment has another kernel.
fn two_lists(initramfs: &Initramfs) -> Result<String> {
    let disk = &initramfs.disk;
    let older = older(initramfs)?;
    let other = bootcsum_of("kernel of the older one", "initramfs");
    disk.boot_link("boot.1.1", &other, 0, &older)?;
    let entry = |title: &str, version: u32, bootcsum: &str| {
        format!("title {title}\nversion {version}\noptions rw ostree=/ostree/boot.1/os/{bootcsum}/0\n")
    };
    disk.file("boot/loader.1/entries/ostree-2.conf", entry("update", 2, &disk.bootcsum))?;
    disk.file("boot/loader.1/entries/ostree-1.conf", entry("older", 1, &other))?;
    disk.file("boot/loader.firstroot/entries/ostree-2.conf", entry("older", 2, &other))?;
    disk.file("boot/loader.firstroot/entries/ostree-1.conf", entry("update", 1, &disk.bootcsum))?;
    digest(initramfs)
}

fn default(initramfs: &Initramfs) -> Result<String> {
    Ok(fs::read_to_string(initramfs.disk.path("boot/loader/entries/ostree-2.conf"))?)
}

pub(crate) fn with_another_kernel_the_list_of_the_older_one_becomes_the_active_one(
    initramfs: &mut Initramfs,
) -> Result<()> {
    let list = two_lists(initramfs)?;
    let older = on_trial(initramfs, Some(&list))?;
    try_twice(initramfs)?;
    for words in [&["--plan"][..], &["--plan", "--json"]] {
        let argument = initramfs.disk.argument();
        let plan = initramfs.run(words.iter().copied().chain(["/sysroot", &argument]))?;
        ensure!(plan.code == Some(0) && plan.stdout.contains(&older), "{plan:?}");
        if words.len() == 2 {
            json_schemas::require("prepare-root-plan", &serde_json::from_str(&plan.stdout)?)?;
        }
    }
    ensure!(default(initramfs)?.contains("update"), "a plan has changed it");
    let outcome = initramfs.boot()?;
    // The test may not reboot.
    let told = format!("tried 2 times: rebooting into /{older}, which is the default now");
    ensure!(outcome.stderr.contains(&told) && outcome.stderr.contains("cannot reboot"), "{outcome:?}");
    initramfs.start_over()?;
    ensure!(default(initramfs)?.contains("older"), "{}", default(initramfs)?);
    // A boot loader that reads something else boots the update again: the lists stay as they are.
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &initramfs.disk.deployment, None)?;
    ensure!(outcome.stderr.contains("was made for another list than the active one"), "{outcome:?}");
    initramfs.start_over()?;
    ensure!(default(initramfs)?.contains("older"), "{}", default(initramfs)?);
    attempts(initramfs, 2)
}

pub(crate) fn a_list_that_was_made_for_another_one_is_not_used(initramfs: &mut Initramfs) -> Result<()> {
    let list = two_lists(initramfs)?;
    on_trial(initramfs, Some(&list))?;
    try_twice(initramfs)?;
    let refused = |what: &str| -> Result<()> {
        let before = default(initramfs)?;
        let outcome = initramfs.boot()?;
        is_root(initramfs, &outcome, &initramfs.disk.deployment, None).context(what.to_owned())?;
        ensure!(outcome.stderr.contains("cannot be made the default"), "{what}: {outcome:?}");
        initramfs.start_over()?;
        ensure!(default(initramfs)? == before, "{what}");
        Ok(())
    };
    let disk = &initramfs.disk;
    let entry = fs::read_to_string(disk.path("boot/loader.1/entries/ostree-1.conf"))?;
    disk.file("boot/loader.1/entries/ostree-1.conf", format!("{entry}x-key value\n"))?;
    refused("an entry was changed")?;
    disk.file("boot/loader.1/entries/ostree-1.conf", entry)?;
    // Libostree swaps boot links alone where the entries stay as they are.
    let link = format!("ostree/boot.1.1/os/{}/0", bootcsum_of("kernel of the older one", "initramfs"));
    let target = fs::read_link(disk.path(&link))?;
    fs::remove_file(disk.path(&link))?;
    refused("its boot link is gone")?;
    let elsewhere = disk.deploy('c', 0)?.replacen("ostree/", "../../../", 1);
    disk.link(&link, &elsewhere)?;
    refused("its boot link leads to another one")?;
    fs::remove_file(disk.path(&link))?;
    symlink(target, disk.path(&link))?;
    disk.file("boot/loader.1/entries/other.conf", "title other\n")?;
    refused("an entry of others came")?;
    disk.remove("boot/loader.1/entries/other.conf")?;
    fs::rename(disk.path("boot/loader.firstroot"), disk.path("boot/elsewhere"))?;
    refused("the list is gone")?;
    symlink("elsewhere", disk.path("boot/loader.firstroot"))?;
    // The link would become loader.1 and lead to the list. The running system never writes it so.
    refused("it is a link")?;
    fs::remove_file(disk.path("boot/loader.firstroot"))?;
    fs::write(disk.path("boot/loader.firstroot"), "")?;
    refused("it is a file")?;
    let record = fs::read_to_string(disk.path(RECORD))?;
    disk.file(RECORD, format!("{record}boot=ext4 11111111-2222-3333-4444-555555555555\n"))?;
    refused("the filesystem of /boot is not there")?;
    disk.file(RECORD, format!("{record}boot=vfat 1111-2222\n"))?;
    refused("no filesystem for a list")
}

pub(crate) fn without_an_older_one_the_update_boots_once_more(initramfs: &mut Initramfs) -> Result<()> {
    let older = on_trial(initramfs, None)?;
    try_twice(initramfs)?;
    let boots_once_more = |reason: &str| -> Result<()> {
        let outcome = initramfs.boot()?;
        is_root(initramfs, &outcome, &initramfs.disk.deployment, None)?;
        ensure!(outcome.stderr.contains("and boots once more: ") && outcome.stderr.contains(reason), "{outcome:?}");
        initramfs.start_over()
    };
    boots_once_more("has another kernel or stateroot, and no list was written")?;
    fs::rename(initramfs.disk.path(&format!("{older}/usr")), initramfs.disk.path("gone"))
        .or_else(|_| initramfs.disk.make_mutable(&older).map_err(std::io::Error::other))?;
    let _ = fs::remove_dir_all(initramfs.disk.path(&format!("{older}/usr")));
    boots_once_more("does not exist any more")
}

pub(crate) fn a_root_that_is_mounted_read_only_is_so_again(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    initramfs.make_disk_read_only()?;
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &initramfs.disk.deployment, Some(1))?;
    ensure!(fs::write("/sysroot/sysroot/file", "").is_err(), "it is writable");
    ensure!(fs::read_to_string(format!("/sysroot/sysroot/{COUNT}"))?.contains("attempts=1"));
    Ok(())
}

pub(crate) fn what_cannot_be_written_or_read_boots_and_is_not_counted(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    let disk = &initramfs.disk;
    let not_counted = |what: &str, outcome: Result<Outcome>| -> Result<()> {
        let outcome = outcome?;
        is_root(initramfs, &outcome, &disk.deployment, None).context(what.to_owned())?;
        ensure!(outcome.stderr.contains("is not counted: "), "{what}: {outcome:?}");
        initramfs.start_over()
    };
    for call in ["pwrite64", "fdatasync"] {
        let inject = format!("inject={call}:error=EIO");
        not_counted(call, initramfs.strace(&["-e", &inject], ["/sysroot", &disk.argument()]))?;
    }
    let path = disk.path(COUNT);
    let record = fs::read(disk.path(RECORD))?;
    disk.file(COUNT, "")?;
    not_counted("an empty file", initramfs.boot())?;
    fs::File::options().write(true).open(&path)?.set_len(1 << 30)?;
    not_counted("a huge file", initramfs.boot())?;
    disk.file(COUNT, [0xff; 512])?;
    not_counted("no text", initramfs.boot())?;
    disk.file(COUNT, format!("{:512}", "deployment=/etc\n"))?;
    not_counted("no deployment", initramfs.boot())?;
    fs::remove_file(&path)?;
    not_counted("no file", initramfs.boot())?;
    fs::create_dir(&path)?;
    not_counted("a directory", initramfs.boot())?;
    fs::remove_dir(&path)?;
    disk.file("elsewhere", "\n".repeat(512))?;
    symlink("../../elsewhere", &path)?;
    not_counted("a link", initramfs.boot())?;
    ensure!(fs::read_to_string(disk.path("elsewhere"))?.trim_end().is_empty(), "written through a link");
    fs::remove_file(&path)?;
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600))?;
    not_counted("a fifo", initramfs.boot())?;
    fs::remove_file(&path)?;
    disk.file(COUNT, "\n".repeat(512))?;
    for (what, content) in [
        ("a damaged record", b"\xff".to_vec()),
        ("half a record", b"trial=/ostree/deploy".to_vec()),
        ("a huge record", vec![b'\n'; 1 << 17]),
    ] {
        disk.file(RECORD, content)?;
        not_counted(what, initramfs.boot())?;
    }
    disk.file(RECORD, record)?;
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &disk.deployment, Some(1))
}

pub(crate) fn an_attempt_that_fails_here_is_one(initramfs: &mut Initramfs) -> Result<()> {
    let older = on_trial(initramfs, None)?;
    with_this_kernel(initramfs, &older)?;
    // Without a pause before the reboot.
    initramfs.configure(format!("{TWICE}[boot]\non-failure=emergency\n"))?;
    let disk = &initramfs.disk;
    disk.make_deployment_mutable()?;
    fs::rename(disk.path(&format!("{}/usr", disk.deployment)), disk.path("usr-of-the-update"))?;
    for attempt in [1, 2] {
        let outcome = initramfs.boot()?;
        ensure!(outcome.code == Some(1), "{outcome:?}");
        attempts(initramfs, attempt)?;
        ensure!(fs::exists("/run/ostree/boot-trial")?, "no trial");
        // The unit runs again, in the same boot.
        let outcome = initramfs.boot()?;
        ensure!(outcome.code == Some(1), "{outcome:?}");
        attempts(initramfs, attempt)?;
        initramfs.start_over()?;
    }
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &older, None)
}

/// What is not counted would reboot for ever.
pub(crate) fn only_what_is_counted_reboots(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    let disk = &initramfs.disk;
    disk.make_deployment_mutable()?;
    fs::rename(disk.path(&format!("{}/usr", disk.deployment)), disk.path("usr-of-the-update"))?;
    let outcome = initramfs.strace(&["-e", "inject=pwrite64:error=EROFS"], ["/sysroot", &disk.argument()])?;
    ensure!(outcome.code == Some(1) && !outcome.stderr.contains("rebooting"), "{outcome:?}");
    ensure!(outcome.stderr.contains("is not counted: ") && counted(initramfs)?.is_empty(), "{outcome:?}");
    Ok(())
}

pub(crate) fn a_configuration_that_stops_the_boot_is_an_attempt(initramfs: &mut Initramfs) -> Result<()> {
    let list = two_lists(initramfs)?;
    on_trial(initramfs, Some(&list))?;
    // As a rescue shell: without a pause before the reboot.
    let arguments = ["/sysroot", &format!("{} rd.shell", initramfs.disk.argument())];
    initramfs.configure(format!("{TWICE}[composefs]\nenabled=perhaps\n"))?;
    let outcome = initramfs.run(arguments)?;
    ensure!(outcome.code == Some(1) && counted(initramfs)?.is_empty(), "a person is there: {outcome:?}");
    initramfs.start_over()?;
    initramfs.disk.file(
        COUNT,
        format!("{:\n<512}", format!("deployment=/{}\nattempts=2\ntries=2\n", initramfs.disk.deployment)),
    )?;
    let plan = initramfs.run(["--plan", "/sysroot", &initramfs.disk.argument()])?;
    ensure!(plan.code == Some(0) && plan.stdout.contains("exchange /boot/loader.N"), "{plan:?}");
    Ok(())
}

pub(crate) fn what_a_person_or_an_esp_chooses_is_not_counted(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    let disk = &initramfs.disk;
    let argument = disk.argument();
    let chosen = format!("{argument} firstroot.deployment={}.0", "a".repeat(64));
    let with_shell = format!("{argument} rd.shell");
    for arguments in
        [&["--deployment", "aaaa", "/sysroot", &argument][..], &["/sysroot", &chosen], &["/sysroot", &with_shell]]
    {
        let outcome = initramfs.run(arguments)?;
        ensure!(outcome.code == Some(0) && !fs::exists("/run/ostree/boot-count")?, "{outcome:?}");
        initramfs.start_over()?;
        ensure!(counted(initramfs)?.is_empty(), "{}", counted(initramfs)?);
    }
    Ok(())
}

pub(crate) fn a_boot_counts_once(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    let inject = ["-e", "inject=move_mount:signal=KILL:when=2"];
    let killed = initramfs.strace(&inject, ["/sysroot", &initramfs.disk.argument()])?;
    ensure!(killed.code != Some(0) && fs::exists("/run/ostree/boot-count")?, "{killed:?}");
    let outcome = initramfs.boot()?;
    is_root(initramfs, &outcome, &initramfs.disk.deployment, Some(1))
}

/// Before its first mount: one write to the disk, and one sync of it.
pub(crate) fn an_attempt_costs_one_write_and_one_sync(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    let disk = &initramfs.disk;
    let of_disk = |initramfs: &Initramfs, trace: &str| -> Result<Vec<String>> {
        let calls = "trace=pwrite64,fsync,fdatasync,sync_file_range,syncfs,sync";
        let outcome = initramfs.strace(&["-y", "-e", calls, "-o", trace], ["/sysroot", &disk.argument()])?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        let names = initramfs.read(trace)?;
        Ok(names
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1)?.split_once('('))
            .map(|(name, _)| name.to_owned())
            .collect())
    };
    let on_trial = of_disk(initramfs, "/on-trial")?;
    initramfs.start_over()?;
    initramfs.configure("")?;
    let plain = of_disk(initramfs, "/plain")?;
    ensure!(plain.is_empty() && on_trial == ["pwrite64", "fdatasync"], "{plain:?} {on_trial:?}");
    Ok(())
}

pub(crate) fn without_the_setting_nothing_is_looked_up(initramfs: &mut Initramfs) -> Result<()> {
    on_trial(initramfs, None)?;
    initramfs.configure("")?;
    let outcome = initramfs.strace(&["-o", "/trace"], ["/sysroot", &initramfs.disk.argument()])?;
    let trace = initramfs.read("/trace")?;
    ensure!(outcome.code == Some(0) && !trace.contains("boot-"), "{trace}");
    ensure!(!fs::exists("/run/ostree/boot-count")? && !fs::exists("/run/ostree/boot-trial")?, "{outcome:?}");
    Ok(())
}
