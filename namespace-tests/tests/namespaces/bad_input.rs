//! Bad input: each a clear error that names its object, nothing half-mounted, never exit status 0.

use anyhow::{Context, Result, ensure};
use namespace_tests::{Initramfs, Outcome, listing};
use nix::mount::MsFlags;

/// Runs, and expects a report with all of `words`, and that the physical root is where it was, alone.
pub(crate) fn refused(initramfs: &Initramfs, arguments: &[&str], words: &[&str]) -> Result<Outcome> {
    let before = initramfs.mounts()?;
    let outcome = initramfs.run(arguments)?;
    ensure!(outcome.code == Some(1), "{arguments:?}: {outcome:?}");
    for word in words {
        ensure!(outcome.told().contains(word), "{arguments:?}: no {word:?} in\n{}", outcome.told());
    }
    if outcome.stderr.contains("cannot boot:") {
        fits_a_screen(&outcome)?;
    }
    assert_eq!(initramfs.mounts()?, before, "after {arguments:?}");
    ensure!(!std::path::Path::new("/run/ostree-booted").exists(), "{arguments:?}");
    Ok(outcome)
}

/// 24 lines of 80 columns, without a whole checksum; what to do is at the end, and can be typed.
fn fits_a_screen(outcome: &Outcome) -> Result<()> {
    let lines: Vec<&str> = outcome.stderr.lines().skip_while(|line| !line.contains("cannot boot:")).collect();
    ensure!(lines.len() <= 24, "{} lines:\n{}", lines.len(), outcome.stderr);
    let cure = lines.iter().position(|line| line.starts_with("  what to do: "));
    let cure = cure.with_context(|| outcome.stderr.clone())?;
    for (number, line) in lines.iter().enumerate() {
        ensure!(line.chars().count() <= 80, "{line}");
        ensure!(!line.split(|c: char| !c.is_ascii_hexdigit()).any(|digits| digits.len() >= 62), "{line}");
        ensure!(number == 0 || line.starts_with("  "), "one block: {line}");
        let is_label = line.get(2..14).is_some_and(|label| label.trim_end().ends_with(':')) && !line.starts_with("   ");
        ensure!(number <= cure || !is_label, "below the cure: {line}");
    }
    for typed in lines.iter().skip(cure).filter_map(|line| line.strip_prefix("                  ")) {
        // Names that are made to be long, or that a shell would not take as they are.
        let is_odd = typed.contains("$(printf ");
        ensure!(typed.len() <= 60 || is_odd, "{typed}");
    }
    Ok(())
}

pub(crate) fn refused_boot(initramfs: &Initramfs, words: &[&str]) -> Result<Outcome> {
    refused(initramfs, &["/sysroot", &initramfs.disk.argument()], words)
}

pub(crate) fn each_bad_command_line_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    let long = "x=y ".repeat(1024);
    for (cmdline, words) in [
        ("quiet", &["the kernel command line has no ostree= argument", "boot links:", "firstroot.deployment=0"][..]),
        ("ostree=", &["\"ostree=\" has no value"]),
        ("ostree", &["has no value"]),
        ("androidboot.slot_suffix=_x", &["must name slot _a or _b"]),
        ("androidboot.serialno=1", &["there is no boot link /ostree/root.a", "androidboot.serialno=1"]),
        (&long, &["no ostree= argument"]),
    ] {
        refused(initramfs, &["/sysroot", cmdline], words)?;
    }
    use std::os::unix::ffi::OsStrExt;
    let outcome = initramfs.run([b"/sysroot".as_slice(), b"ostree=/\xff"].map(std::ffi::OsStr::from_bytes))?;
    ensure!(outcome.code == Some(1) && outcome.told().contains("is not UTF-8"), "{outcome:?}");
    Ok(())
}

/// Told before anything is done, and not when the new root is to be moved there.
pub(crate) fn a_sysroot_that_is_the_root_is_refused(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.disk.link("ostree/dangling", "deploy/gone")?;
    std::os::unix::fs::symlink("/", "/elsewhere")?;
    for sysroot in ["/", "/elsewhere", "/sysroot/.."] {
        let words =
            [&format!("SYSROOT {sysroot} leads to /, the root of this system")[..], "mount the physical root at"];
        let outcome = refused(initramfs, &[sysroot, &initramfs.disk.argument()], &words)?;
        ensure!(!outcome.told().contains("choose another entry"), "{}", outcome.stderr);
        ensure!(!std::path::Path::new("/run/ostree").exists(), "something was done");
    }
    Ok(())
}

/// As some build systems make them: the disk is not to blame.
pub(crate) fn a_deployment_of_another_name_is_told(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.directory("ostree/deploy/os/deploy/1234/usr")?;
    disk.link("ostree/current", "deploy/os/deploy/1234")?;
    disk.remove(&disk.deployment)?;
    disk.remove("ostree/boot.1.1")?;
    let words = [
        "the boot link /ostree/current leads to /ostree/deploy/os/deploy/1234, which is not a deployment",
        "other names:  /ostree/deploy/os/deploy/1234",
        "likely cause: libostree did not make this deployment",
    ];
    let outcome = refused(initramfs, &["/sysroot", "ostree=/ostree/current"], &words)?;
    ensure!(!outcome.told().contains("the disk, not ostree"), "{}", outcome.stderr);
    Ok(())
}

pub(crate) fn each_bad_link_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.link("ostree/loop", "loop")?;
    disk.link("ostree/loop-on-the-way", "loop/x")?;
    disk.link("ostree/dangling", "deploy/os/deploy/gone")?;
    disk.link("ostree/to-a-file", "repo/config")?;
    disk.link("ostree/to-the-root", "/")?;
    disk.link("ostree/outwards", "../../../../usr")?;
    disk.link("ostree/magic", "/proc/self/root")?;
    for (path, words) in [
        ("/ostree/nothing", &["there is no boot link /ostree/nothing"][..]),
        ("/ostree/nothing/deeper", &["there is no boot link"]),
        ("/ostree/repo/config", &["must be a symbolic link to a deployment, but is a file"]),
        ("/ostree/repo", &["must be a symbolic link to a deployment, but is a directory"]),
        ("/ostree/loop", &["is part of a loop of symbolic links"]),
        ("/ostree/loop-on-the-way", &["is part of a loop of symbolic links"]),
        ("/ostree/dangling", &["leads to deploy/os/deploy/gone, which does not exist"]),
        ("/ostree/to-a-file", &["leads to repo/config, which is not a directory"]),
        ("/ostree/to-the-root", &["which is not a deployment"]),
        ("/ostree/outwards", &["leads to ../../../../usr, which does not exist"]),
        ("/ostree/magic", &["leads to /proc/self/root, which does not exist"]),
        ("/", &["must be a symbolic link"]),
    ] {
        refused(initramfs, &["/sysroot", &format!("ostree={path}")], words)?;
    }
    for end in ["", "/usr/..", "/."] {
        let directly = format!("ostree=/{}{end}", initramfs.disk.deployment);
        refused(initramfs, &["/sysroot", &directly], &["must be a symbolic link to a deployment, but is a directory"])?;
    }
    let long = format!("ostree=/{}", "x".repeat(5000));
    refused(initramfs, &["/sysroot", &long], &["cannot be looked up: File name too long"])?;
    Ok(())
}

/// The kernel takes 4 KiB on some architectures, and boot loaders put theirs first.
pub(crate) fn a_long_command_line_is_read_to_its_end(initramfs: &mut Initramfs) -> Result<()> {
    let line = format!("{}{}\n", "x=y ".repeat(1024), initramfs.disk.argument());
    initramfs.set_kernel_command_line(&line)?;
    let outcome = initramfs.run(["/sysroot"])?;
    ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "{outcome:?}");
    Ok(())
}

pub(crate) fn each_incomplete_deployment_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    let disk = initramfs.disk.clone();
    for name in ["usr", "etc", "sysroot"] {
        let path = format!("{}/{name}", disk.deployment);
        let aside = format!("{}/aside", disk.deployment);
        std::fs::rename(disk.path(&path), disk.path(&aside))?;
        refused_boot(
            initramfs,
            &[&format!("{} cannot be booted: the deployment has no directory {name}\n", disk.deployment)],
        )?;
        disk.link(&path, "aside")?;
        refused_boot(initramfs, &[&format!("the deployment has no directory {name}, but a symbolic link")])?;
        disk.remove(&path)?;
        std::fs::rename(disk.path(&aside), disk.path(&path))?;
    }
    ensure!(initramfs.boot()?.code == Some(0), "put together again it boots");
    Ok(())
}

pub(crate) fn each_bad_configuration_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    const FILE: &str = "/etc/ostree/prepare-root.conf";
    for (text, word) in [
        (&b"[sysroot]\nreadonly=yes\n"[..], "[sysroot] readonly = \"yes\": the value must be true, false, 1 or 0"),
        (b"[root]\ntransient=true\ntransient-ro=true\n", "are both true; set only one"),
        (b"[etc]\ntransient=tr\0ue\n", "a NUL byte"),
        (b"[etc]\ntransient=\xff\n", "not UTF-8"),
        (b"nonsense\n", "is neither a [group], nor a key=value, nor a comment"),
    ] {
        initramfs.configure(text)?;
        refused_boot(initramfs, &[FILE, word, "rebuild the initramfs"])?;
    }
    std::fs::write(FILE, vec![b'#'; 2 << 20])?;
    refused_boot(initramfs, &[FILE, "cannot be read: File too large"])?;
    std::fs::remove_file(FILE)?;
    std::fs::create_dir(FILE)?;
    refused_boot(initramfs, &[FILE, "cannot be read: Is a directory"])?;
    std::fs::remove_dir(FILE)?;
    nix::unistd::mkfifo(FILE, nix::sys::stat::Mode::S_IRUSR)?;
    refused_boot(initramfs, &[FILE, "cannot be read"])?;
    std::fs::remove_file(FILE)?;
    std::os::unix::fs::symlink("prepare-root.conf", FILE)?;
    refused_boot(initramfs, &[FILE, "cannot be read: Too many levels of symbolic links"])?;
    std::fs::remove_file(FILE)?;
    std::os::unix::fs::symlink("/usr/share/image.conf", FILE)?;
    refused_boot(initramfs, &[FILE, "it is a link to /usr/share/image.conf, which does not exist"])?;
    Ok(())
}

pub(crate) fn a_hotfix_without_its_upper_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.directory(&format!("{}/.usr-ovl-work", disk.deployment))?;
    refused_boot(initramfs, &["no directory .usr-ovl-upper", "to remove the hotfix: "])?;
    disk.remove(&format!("{}/.usr-ovl-work", disk.deployment))?;
    disk.link(&format!("{}/.usr-ovl-work", disk.deployment), "/tmp")?;
    refused_boot(initramfs, &["the hotfix of /usr is damaged: .usr-ovl-work is not a directory"])?;
    Ok(())
}

pub(crate) fn without_var_there_is_a_warning_or_an_error(initramfs: &mut Initramfs) -> Result<()> {
    let disk = initramfs.disk.clone();
    disk.remove(&format!("{}/var", disk.deployment))?;
    refused(initramfs, &["--systemd=no", "/sysroot", &disk.argument()], &["the deployment has no directory var\n"])?;
    let plan = initramfs.run(["--plan", "--systemd=yes", "/sysroot", &disk.argument()])?;
    ensure!(plan.code == Some(0) && plan.stdout.contains("warning: the deployment has no directory var"), "{plan:?}");
    disk.directory(&format!("{}/var", disk.deployment))?;
    disk.remove("ostree/deploy/os/var")?;
    refused(initramfs, &["--systemd=no", "/sysroot", &disk.argument()], &["the stateroot has no directory var"])?;
    let outcome = initramfs.run(["--systemd=yes", "/sysroot", &disk.argument()])?;
    ensure!(outcome.code == Some(0) && outcome.told().contains("/ostree/deploy/os/var is missing"), "{outcome:?}");
    Ok(())
}

pub(crate) fn run_that_cannot_be_written_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.remount_run(MsFlags::MS_RDONLY, "")?;
    refused_boot(
        initramfs,
        &["cannot make the directory /run/ostree: Read-only file system", "/run is not a writable tmpfs"],
    )?;
    initramfs.remount_run(MsFlags::empty(), "size=64k")?;
    let _ = std::fs::write("/run/full", vec![0; 1 << 20]);
    refused_boot(initramfs, &["cannot write /run/ostree-booted: No space left on device"])?;
    assert_eq!(listing(std::path::Path::new("/run/ostree"))?, ".private directory 0000");
    std::fs::remove_file("/run/full")?;
    ensure!(initramfs.boot()?.code == Some(0), "with space again it boots");
    Ok(())
}

pub(crate) fn a_disk_that_is_not_there_is_blamed_on_the_disk(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.unmount("/sysroot")?;
    refused_boot(initramfs, &["nothing is mounted at /sysroot", "the disk, not ostree", "blkid"])?;
    Ok(())
}

pub(crate) fn another_filesystem_is_blamed_on_the_disk(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.disk.remove("ostree")?;
    refused_boot(initramfs, &["has no directory /ostree", "the disk, not ostree", "its root directory has: boot"])?;
    Ok(())
}

pub(crate) fn a_kernel_without_overlay_is_told(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[etc]\ntransient=true\n")?;
    let before = initramfs.mounts()?;
    let outcome = initramfs.strace(
        &["-o", "/dev/null", "-e", "trace=fsopen", "-e", "inject=fsopen:error=ENODEV"],
        ["/sysroot", &initramfs.disk.argument()],
    )?;
    ensure!(outcome.code == Some(1), "{outcome:?}");
    for word in ["cannot mount a filesystem of type overlay: No such device", "the kernel lacks that filesystem"] {
        ensure!(outcome.told().contains(word), "{outcome:?}");
    }
    assert_eq!(initramfs.mounts()?, before);
    let left = listing(std::path::Path::new("/run/ostree"))?;
    let without_report = left.lines().filter(|line| !line.starts_with("boot-failure file ")).collect::<Vec<_>>();
    assert_eq!(without_report, [".private directory 0000"]);
    Ok(())
}

/// With what the report says the same kernel boots.
pub(crate) fn a_hotfix_on_a_kernel_without_overlay_is_given_up(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    for name in [".usr-ovl-work", ".usr-ovl-upper"] {
        disk.directory(&format!("{}/{name}", disk.deployment))?;
    }
    let strace = ["-o", "/dev/null", "-e", "trace=fsopen", "-e", "inject=fsopen:error=ENODEV"];
    let arguments = ["/sysroot", &disk.argument()];
    let before = initramfs.mounts()?;
    let outcome = initramfs.strace(&strace, arguments)?;
    let remove = "cd /sysroot/ostree/deploy/os/deploy rm -rf aaaa*.0/.usr-ovl-work ";
    for words in ["the hotfix of /usr in the deployment", "add_drivers", "to remove the hotfix: ", remove] {
        ensure!(outcome.code == Some(1) && outcome.told().contains(words), "no {words:?}: {outcome:?}");
    }
    assert_eq!(initramfs.mounts()?, before);
    disk.remove(&format!("{}/.usr-ovl-work", disk.deployment))?;
    let outcome = initramfs.strace(&strace, arguments)?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    Ok(())
}

pub(crate) fn composefs_that_is_demanded_stops(initramfs: &mut Initramfs) -> Result<()> {
    let argument = initramfs.disk.argument();
    for (policy, told) in [("allow", true), ("strengthen", false), ("ignore", false)] {
        initramfs.configure(format!("[composefs]\nenabled=yes\nkernel-argument={policy}\n"))?;
        let outcome = refused_boot(initramfs, &["has no image .ostree.cfs"])?;
        let cure = outcome.told().contains("add in the boot menu: ostree.prepare-root.composefs=no");
        ensure!(cure == told, "{policy}: {outcome:?}");
    }
    for mode in ["yes", "verity"] {
        initramfs.configure(format!("[composefs]\nenabled={mode}\n"))?;
        refused_boot(initramfs, &["composefs is demanded", &format!("enabled = {mode}")])?;
        initramfs.configure("")?;
        let line = format!("{argument} ostree.prepare-root.composefs={mode}");
        refused(initramfs, &["/sysroot", &line], &["composefs is demanded", "kernel argument"])?;
    }
    initramfs.configure("[composefs]\nenabled=signed\n")?;
    refused_boot(initramfs, &["cannot be verified", "/etc/ostree/initramfs-root-binding.key", "cannot be read"])?;
    initramfs.configure("")?;
    let line = format!("{argument} ostree.prepare-root.composefs=perhaps");
    refused(initramfs, &["/sysroot", &line], &["composefs=perhaps must be no, maybe,"])?;
    initramfs.configure("[composefs]\nenabled=maybe\n")?;
    ensure!(initramfs.boot()?.code == Some(0), "maybe is no demand");
    Ok(())
}

/// Who mounts `/var` later depends on it. Only a sign that is not there says that there is no systemd.
pub(crate) fn whether_systemd_is_there_is_not_guessed(initramfs: &mut Initramfs) -> Result<()> {
    std::os::unix::fs::symlink("systemd", "/run/systemd")?;
    refused_boot(initramfs, &["cannot look for /run/systemd/system: Too many levels of symbolic links", "--systemd="])?;
    initramfs.run(["--systemd=no", "/sysroot", &initramfs.disk.argument()])?.success()
}

pub(crate) fn a_wrong_call_has_a_status_of_its_own(initramfs: &mut Initramfs) -> Result<()> {
    for arguments in [&[][..], &["--nonsense", "/sysroot"], &["--check-config"]] {
        let outcome = initramfs.run(arguments)?;
        ensure!(outcome.code == Some(2) && outcome.told().contains("--help"), "{outcome:?}");
    }
    Ok(())
}
