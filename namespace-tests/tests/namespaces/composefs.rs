//! A composefs image as the root, on a disk that the guest's `ostree` has deployed on. This machine's kernel has no fs-verity: what
//! needs a seal is tested in whole machines.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use namespace_tests::{Initramfs, inside_of};
use qemu_tests::guest::Guest;

use crate::bad_input::refused_boot;

const ENABLED: &str = "[composefs]\nenabled=yes\n";

/// A copy of a system with an image.
pub(crate) fn machine() -> Result<Machine> {
    Story::named("image").staged(Guest::Forky)?.copy()
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

fn image(initramfs: &Initramfs) -> String {
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
    ensure!(outcome.stderr.contains("what is written to / and /etc is lost at the next boot"), "{outcome:?}");
    Ok(())
}

pub(crate) fn a_second_run_says_that_an_image_is_prepared_already(initramfs: &mut Initramfs) -> Result<()> {
    boots(initramfs, ENABLED)?;
    let before = initramfs.mounts()?;
    let second = initramfs.boot()?;
    ensure!(second.code == Some(0) && second.stderr.contains("is prepared already"), "{second:?}");
    assert_eq!(initramfs.mounts()?, before);
    // Without its record nobody knows whose image that is.
    std::fs::remove_file("/run/ostree-booted")?;
    let third = initramfs.boot()?;
    ensure!(third.code == Some(1) && third.stderr.contains("is prepared for a composefs image already"), "{third:?}");
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
    let spoil: [(&dyn Fn() -> Result<()>, &str); 6] = [
        (&|| Ok(()), "has no image .ostree.cfs"),
        (&|| disk.link(&path, "usr/bin/program"), "a symbolic link is there"),
        (&|| disk.directory(&path), "a directory is there"),
        (
            &|| Ok(nix::unistd::mkfifo(&disk.path(&path), nix::sys::stat::Mode::S_IRUSR)?),
            "a device, fifo or socket is there",
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
