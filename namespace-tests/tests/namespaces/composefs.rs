//! A composefs image as the root, on a disk that the guest's `ostree` has deployed on. This machine's kernel has no fs-verity: what
//! needs a seal is tested in whole machines.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use namespace_tests::{Initramfs, inside_of};
use qemu_tests::guest::Guest;

use crate::bad_input::refused_boot;
use crate::pid1::{self, in_one_line};
use crate::signed::SIGNED;

pub(crate) const ENABLED: &str = "[composefs]\nenabled=yes\n";

/// The branch whose commit says the digest of the image, and is deployed.
pub(crate) const BRANCH: &str = "os/image";

pub(crate) const COMMIT: &str = "ostree --repo=/target/ostree/repo commit --branch=os/image --tree=ref=os/stable --no-bindings \
                      --generate-composefs-metadata";
/// A program that only its owner and user 12 may write: without the list everybody of the group might. And an init.
const TREE: &str = "/run/fixture/tools/setfacl -m u:12:rw,g::- usr/bin/program; echo init >usr/sbin/init";
pub(crate) const DEPLOY: &str = "ostree admin deploy --sysroot=/target --os=os --karg=root=LABEL=root --karg=rw";

/// A copy of a system with an image.
pub(crate) fn machine() -> Result<Machine> {
    let install = format!("{COMMIT}\n{DEPLOY} {BRANCH}");
    Story::named("image-of-commit").first_tree(TREE).installed(install).staged(Guest::Forky)?.copy()
}

/// A story on such a system.
pub(crate) fn told(story: crate::Story) -> Result<()> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    inside_of(&machine()?, &binary, None, story)
}

fn boots(initramfs: &Initramfs, configuration: &str) -> Result<()> {
    initramfs.configure(configuration)?;
    let outcome = initramfs.boot()?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    Ok(())
}

pub(crate) fn image(initramfs: &Initramfs) -> String {
    format!("{}/.ostree.cfs", initramfs.disk.deployment)
}

pub(crate) fn the_tree_of_the_image_is_read(initramfs: &mut Initramfs) -> Result<()> {
    boots(initramfs, ENABLED)?;
    assert_eq!(initramfs.read("/sysroot/usr/bin/program")?, "program\n");
    ensure!(initramfs.read("/sysroot/etc/passwd")?.starts_with("root:"), "/etc is there");
    std::fs::write("/sysroot/etc/mine", "")?;
    for path in ["/sysroot/usr/new", "/sysroot/new"] {
        ensure!(std::fs::write(path, "").is_err(), "{path} is writable");
    }
    Ok(())
}

pub(crate) fn a_transient_root_is_for_everybody_and_forgotten(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    boots(initramfs, &format!("{ENABLED}[root]\ntransient=true\n"))?;
    let mode = std::fs::metadata("/sysroot")?.permissions().mode() & 0o7777;
    ensure!(mode == 0o755, "the mode of / is {mode:o}");
    std::fs::write("/sysroot/usr/new", "")?;
    std::fs::create_dir("/sysroot/data")?;
    initramfs.start_over()?;
    boots(initramfs, ENABLED)?;
    ensure!(!Path::new("/sysroot/usr/new").exists() && !Path::new("/sysroot/data").exists(), "it was kept");
    Ok(())
}

pub(crate) fn what_will_be_lost_is_told_in_one_line(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(format!("{ENABLED}[root]\ntransient=true\n[etc]\ntransient=true\n"))?;
    let outcome = initramfs.boot()?;
    ensure!(outcome.stderr.lines().count() == 1, "{outcome:?}");
    ensure!(outcome.told().contains("changes in / and /etc are lost at the next boot"), "{outcome:?}");
    Ok(())
}

pub(crate) fn a_second_run_says_that_an_image_is_prepared_already(initramfs: &mut Initramfs) -> Result<()> {
    boots(initramfs, ENABLED)?;
    let before = initramfs.mounts()?;
    let second = initramfs.boot()?;
    ensure!(
        second.code == Some(0) && second.told().contains("is already prepared for a composefs image"),
        "{second:?}"
    );
    assert_eq!(initramfs.mounts()?, before);
    // Without its record nobody knows whose image that is.
    std::fs::remove_file("/run/ostree-booted")?;
    let third = initramfs.boot()?;
    ensure!(
        third.code == Some(1) && third.told().contains("is already prepared for a composefs image, but"),
        "{third:?}"
    );
    Ok(())
}

pub(crate) fn a_plan_of_an_image_changes_nothing(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(format!("{ENABLED}[root]\ntransient-ro=true\n"))?;
    let before = initramfs.mounts()?;
    let outcome = initramfs.run(["--plan", "/sysroot", &initramfs.disk.argument()])?;
    let told = format!("mount the composefs image /{} over /ostree/repo/objects", image(initramfs));
    ensure!(outcome.code == Some(0) && outcome.stdout.contains(&told), "{outcome:?}");
    assert_eq!(initramfs.mounts()?, before);
    ensure!(!Path::new("/run/ostree").exists(), "a directory was made");
    Ok(())
}

/// Whatever is in its place, the boot ends with its name, and the physical root is where it was.
pub(crate) fn what_is_no_image_is_a_clear_error(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    let (path, before) = (image(initramfs), initramfs.mounts()?);
    initramfs.configure(ENABLED)?;
    disk.make_deployment_mutable()?;
    let whole = std::fs::read(disk.path(&path))?;
    let cut = whole.get(..2_000).unwrap_or_default();
    let spoil: [(&dyn Fn() -> Result<()>, &str); 7] = [
        (&|| Ok(()), "has no image .ostree.cfs"),
        (&|| disk.file(&path, cut), "the disk fails, or its content is damaged"),
        (&|| disk.link(&path, "usr/bin/program"), "must be a file, but is a symbolic link"),
        (&|| disk.directory(&path), "must be a file, but is a directory"),
        (
            &|| Ok(nix::unistd::mkfifo(&disk.path(&path), nix::sys::stat::Mode::S_IRUSR)?),
            "must be a file, but is a device, fifo or socket",
        ),
        (&|| disk.file(&path, ""), "cannot be mounted"),
        (&|| disk.file(&path, whole.iter().map(|byte| byte ^ 0x55).collect::<Vec<_>>()), "cannot be mounted"),
    ];
    for (spoil, reason) in spoil {
        disk.remove(&path)?;
        spoil()?;
        refused_boot(initramfs, &[&disk.deployment, reason])?;
        assert_eq!(initramfs.mounts()?, before, "{reason}");
        if disk.path(&path).symlink_metadata().is_err() {
            disk.file(&path, "")?;
        }
    }
    // Larger than all memory, of which the kernel reads only what it needs.
    disk.remove(&path)?;
    disk.file(&path, &whole)?;
    std::fs::OpenOptions::new().write(true).open(disk.path(&path))?.set_len(1 << 40)?;
    let outcome = initramfs.boot()?;
    ensure!(outcome.code == Some(0) && initramfs.read("/sysroot/usr/bin/program")? == "program\n", "{outcome:?}");
    Ok(())
}

pub(crate) fn an_image_on_another_filesystem_is_mounted_by_a_loop_device(initramfs: &mut Initramfs) -> Result<()> {
    // A tmpfs is one from which the kernel mounts no image itself.
    let mut copy = initramfs.host_program("cp");
    std::fs::create_dir("/copy")?;
    nix::mount::mount(Some("copy"), "/copy", Some("tmpfs"), nix::mount::MsFlags::empty(), Some("mode=0755"))?;
    ensure!(copy.args(["-a", "/sysroot/.", "/copy"]).status()?.success(), "copying the disk");
    initramfs.unmount("/sysroot")?;
    nix::mount::mount(Some("/copy"), "/sysroot", None::<&str>, nix::mount::MsFlags::MS_BIND, None::<&str>)?;
    initramfs.configure(format!("{ENABLED}[etc]\ntransient=true\n"))?;
    let outcome = initramfs.strace(&["-o", "/trace", "-e", "trace=ioctl"], ["/sysroot", &initramfs.disk.argument()])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(initramfs.read("/trace")?.contains("LOOP_CONFIGURE"), "{}", initramfs.read("/trace")?);
    assert_eq!(initramfs.read("/sysroot/usr/bin/program")?, "program\n");
    ensure!(initramfs.read("/sysroot/etc/passwd")?.starts_with("root:"), "/etc is there");
    Ok(())
}

/// Whoever can write to the disk can put a link there; what is bound over the stateroot's `var` stays on the physical root.
pub(crate) fn a_link_on_the_disk_does_not_lead_into_the_image(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    initramfs.keep_disk()?;
    let disk = &initramfs.disk;
    for path in ["usr/bin/program", "sysroot/usr/bin/program"] {
        disk.file(path, "planted\n")?;
    }
    let var = "ostree/deploy/os/var";
    std::fs::rename(disk.path(var), disk.path("kept"))?;
    for target in ["/usr", "../../../../usr", "../../../../../usr", "/"] {
        disk.link(var, target)?;
        let outcome = initramfs.boot()?;
        if outcome.code == Some(0) {
            assert_eq!(initramfs.read("/sysroot/usr/bin/program")?, "program\n", "{target}");
            ensure!(std::fs::write("/sysroot/usr/new", "").is_err(), "{target}: /usr is writable");
        }
        initramfs.start_over()?;
        initramfs.disk.remove(var)?;
    }
    Ok(())
}

pub(crate) fn access_control_lists_in_the_image_count(initramfs: &mut Initramfs) -> Result<()> {
    boots(initramfs, ENABLED)?;
    let names = system::xattr::names(std::fs::File::open("/sysroot/usr/bin/program")?)?;
    ensure!(names.iter().any(|name| name == b"system.posix_acl_access"), "{names:?}");
    Ok(())
}

/// A run that failed late, or another boot by hand, may have left a link to another disk.
pub(crate) fn a_disk_that_was_linked_before_is_not_kept(initramfs: &mut Initramfs) -> Result<()> {
    std::fs::create_dir_all("/run/systemd")?;
    std::os::unix::fs::symlink("/dev/block/9:9", "/run/systemd/volatile-root")?;
    boots(initramfs, ENABLED)?;
    let target = std::fs::read_link("/run/systemd/volatile-root")?;
    ensure!(target != Path::new("/dev/block/9:9"), "{}", target.display());
    Ok(())
}

/// The kernel mounts the image itself, unless it refuses to.
pub(crate) fn no_loop_device_is_taken_where_none_is_needed(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let calls = ["-o", "/trace", "-e", "trace=ioctl,fsconfig"];
    let outcome = initramfs.strace(&calls, ["/sysroot", &initramfs.disk.argument()])?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let trace = initramfs.read("/trace")?;
    let refused = trace.lines().any(|line| line.contains("FSCONFIG_CMD_CREATE") && line.contains("= -1 "));
    ensure!(refused || !trace.contains("LOOP_CONFIGURE"), "{trace}");
    Ok(())
}

/// A kernel that counts an image that is a file as a layer refuses an overlay on top: a made-up refusal of the trial, since this one
/// does not.
pub(crate) fn a_root_that_nothing_can_be_stacked_on_is_made_by_a_loop_device(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    initramfs.keep_disk()?;
    let arguments = ["/sysroot".to_owned(), initramfs.disk.argument()];
    let outcome = initramfs.strace(&["-o", "/calls", "-e", "trace=fsconfig"], &arguments)?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let calls = initramfs.read("/calls")?;
    let made = calls.lines().zip(1..).filter(|(line, _)| line.contains("FSCONFIG_CMD_CREATE"));
    // Of the image, of the root, of the trial.
    let (_, trial) = made.into_iter().nth(2).with_context(|| calls.clone())?;
    let mounted = initramfs.mounts()?;
    initramfs.start_over()?;
    let inject = format!("inject=fsconfig:error=EINVAL:when={trial}");
    let outcome = initramfs.strace(&["-o", "/trace", "-e", "trace=fsconfig,ioctl", "-e", &inject], &arguments)?;
    let trace = initramfs.read("/trace")?;
    ensure!(outcome.code == Some(0) && trace.contains("LOOP_CONFIGURE"), "{outcome:?}\n{trace}");
    assert_eq!(initramfs.mounts()?, mounted);
    Ok(())
}

/// A kernel between 6.5 and 6.6 has the two layers in one option: a made-up refusal of the newer one, since this kernel has both.
pub(crate) fn what_older_kernels_need_is_tried(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    initramfs.keep_disk()?;
    let arguments = ["/sysroot".to_owned(), initramfs.disk.argument()];
    let outcome = initramfs.strace(&["-o", "/calls", "-e", "trace=fsconfig"], &arguments)?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let (calls, mounted) = (initramfs.read("/calls")?, initramfs.mounts()?);
    let newer = calls.lines().zip(1..).find(|(line, _)| line.contains("\"lowerdir+\""));
    let (_, newer) = newer.with_context(|| calls.clone())?;
    initramfs.start_over()?;
    let refuse = format!("inject=fsconfig:error=EINVAL:when={newer}");
    let trace = ["-s", "300", "-o", "/trace", "-e", "trace=fsconfig", "-e", &refuse];
    let outcome = initramfs.strace(&trace, &arguments)?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(initramfs.read("/trace")?.contains("cfsroot-lower::/"), "{}", initramfs.read("/trace")?);
    // The two layers are shown as they were given.
    let as_given = |table: &str| table.replace("lowerdir+=", "lowerdir=").replace(" datadir+=", "::");
    assert_eq!(as_given(&initramfs.mounts()?), as_given(&mounted));
    assert_eq!(initramfs.read("/sysroot/usr/bin/program")?, "program\n");
    Ok(())
}

/// A system that can run without an initramfs: its init is in the image.
fn machine_with_init() -> Result<Machine> {
    let tree = format!(
        "cp /run/fixture/host/usr/bin/busybox usr/bin/busybox || cp /run/fixture/host/usr/sbin/busybox usr/bin/busybox\n\
         cat >usr/sbin/init <<'EOF'\n{}\nEOF\nchmod 755 usr/sbin/init",
        pid1::INIT
    );
    Story::named("image-with-init").first_tree(tree).staged(Guest::Forky)?.copy()
}

/// As process 1, with the deployment's own configuration; what init found.
fn booted_as_init(configuration: &str, cmdline: &str) -> Result<(Output, Option<String>)> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    inside_of(&machine_with_init()?, &binary, None, |initramfs| {
        let disk = &initramfs.disk;
        disk.file(&format!("{}/etc/ostree/prepare-root.conf", disk.deployment), configuration)?;
        pid1::become_root(initramfs, &format!("{} {cmdline}", disk.argument()))?;
        let output = pid1::run(&mut Command::new(pid1::program(initramfs)))?;
        Ok((output, pid1::report().ok()))
    })
}

pub(crate) fn without_an_initramfs_the_root_is_the_image_too() -> Result<()> {
    let transient = format!("{ENABLED}[root]\ntransient=true\n[etc]\ntransient=true\n");
    for (configuration, lines) in [
        (ENABLED, &["/ ro,relatime overlay composefs\n", "/etc rw,relatime ext4 /dev/loop"][..]),
        ("[composefs]\nenabled=maybe\n", &["/ ro,relatime overlay composefs\n"]),
        (&transient, &["/ rw,relatime overlay composefs\n", "/etc rw,relatime overlay overlay\n"]),
    ] {
        let (output, report) = booted_as_init(configuration, "")?;
        let report = report.with_context(|| format!("{output:?}"))?;
        ensure!(output.status.success(), "{output:?}");
        for line in lines.iter().chain(&["/sysroot r", "/run rw,nosuid,nodev tmpfs tmpfs\n", "/run/ostree-booted"]) {
            ensure!(report.contains(line), "{configuration}: no {line:?} in\n{report}");
        }
        ensure!(!report.contains("erofs"), "{report}");
    }
    Ok(())
}

/// Program and keys are on the disk that they would vouch for.
pub(crate) fn without_an_initramfs_a_signature_vouches_for_nothing() -> Result<()> {
    for (configuration, reason) in [
        (SIGNED.to_owned(), "without an initramfs it proves nothing"),
        (format!("{SIGNED}unverified-init=yes\n"), "the file of trusted keys"),
    ] {
        let (output, report) = booted_as_init(&configuration, "")?;
        let told = in_one_line(&output);
        ensure!(!output.status.success() && report.is_none() && told.contains(reason), "{output:?}");
    }
    Ok(())
}
