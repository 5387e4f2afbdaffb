//! A composefs image as the root, on a disk that the guest's `ostree` has deployed on. This machine's kernel has no fs-verity: what
//! needs a seal is tested in whole machines.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use namespace_tests::{Initramfs, inside_of};
use ostree_formats::deployment::Checksum;
use qemu_tests::guest::Guest;
use qemu_tests::signer::Signer;

use crate::bad_input::{refused, refused_boot};
use crate::pid1;

pub(crate) const ENABLED: &str = "[composefs]\nenabled=yes\n";

/// The branch whose commit says the digest of the image, and is deployed.
pub(crate) const BRANCH: &str = "os/image";

pub(crate) const COMMIT: &str = "ostree --repo=/target/ostree/repo commit --branch=os/image --tree=ref=os/stable --no-bindings \
                      --generate-composefs-metadata";
/// A program that only its owner and user 12 may write: without the list everybody of the group might.
const WITH_ACL: &str = "/run/fixture/tools/setfacl -m u:12:rw,g::- usr/bin/program";
pub(crate) const DEPLOY: &str = "ostree admin deploy --sysroot=/target --os=os --karg=root=LABEL=root --karg=rw";

/// A copy of a system with an image.
pub(crate) fn machine() -> Result<Machine> {
    let install = format!("{COMMIT}\n{DEPLOY} {BRANCH}");
    Story::named("image-of-commit").first_tree(WITH_ACL).installed(install).staged(Guest::Forky)?.copy()
}

/// The same, deployed as bootc does: a commit for the container is on top of the one that somebody has signed.
fn machine_of_container() -> Result<Machine> {
    let install = format!(
        "{COMMIT}\n\
         ostree --repo=/target/ostree/repo commit --branch=os/container --tree=ref={BRANCH} --no-bindings \
         --parent=$(ostree --repo=/target/ostree/repo rev-parse {BRANCH}) \
         --add-metadata-string=ostree.container.image-config='{{}}'\n\
         {DEPLOY} os/container"
    );
    Story::named("image-of-container").installed(install).staged(Guest::Forky)?.copy()
}

/// Nobody but the parent's signer has signed; and without that key, or for a commit that is not one of a container, it counts for nothing.
pub(crate) fn the_parent_of_a_containers_commit_may_be_the_signed_one() -> Result<()> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    inside_of(&machine_of_container()?, &binary, None, |initramfs| {
        initramfs.configure(SIGNED)?;
        initramfs.write(KEYS, Signer::number(1).key_file())?;
        refused_boot(initramfs, &["cannot be verified", "neither it nor its parent"])?;
        Signer::number(2).sign(Path::new("/sysroot"), BRANCH)?;
        refused_boot(initramfs, &["cannot be verified", "none of its 1 signatures"])?;
        Signer::number(1).sign(Path::new("/sysroot"), BRANCH)?;
        refused_boot(initramfs, &[VERIFIED])?;
        Ok(())
    })
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
    let cut = whole.get(..2_000).unwrap_or_default();
    let spoil: [(&dyn Fn() -> Result<()>, &str); 7] = [
        (&|| Ok(()), "has no image .ostree.cfs"),
        (&|| disk.file(&path, cut), "an image for one"),
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
    // Larger than all memory, of which the kernel reads only what it needs.
    disk.remove(&path)?;
    disk.file(&path, &whole)?;
    std::fs::OpenOptions::new().write(true).open(disk.path(&path))?.set_len(1 << 40)?;
    let outcome = initramfs.boot()?;
    ensure!(outcome.code == Some(0) && initramfs.read("/sysroot/usr/bin/program")? == "program\n", "{outcome:?}");
    Ok(())
}

/// Where there is an initramfs, what the disk says of it counts for nothing: neither its configuration nor its keys.
pub(crate) fn configuration_and_keys_on_the_disk_count_for_nothing(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(SIGNED)?;
    initramfs.write(KEYS, Signer::number(1).key_file())?;
    Signer::number(2).sign(Path::new("/sysroot"), BRANCH)?;
    let deployment = initramfs.disk.deployment.clone();
    for root in ["", &deployment, &format!("{deployment}/usr")] {
        let disk = &initramfs.disk;
        disk.file(&format!("{root}/etc/ostree/prepare-root.conf"), "[composefs]\nenabled=no\n")?;
        disk.file(&format!("{root}/usr/lib/ostree/prepare-root.conf"), "[composefs]\nenabled=no\n")?;
        disk.file(&format!("{root}/etc/ostree/prepare-root.conf.d/1.conf"), "[composefs]\nkernel-argument=allow\n")?;
        disk.file(&format!("{root}{KEYS}"), Signer::number(2).key_file())?;
    }
    refused_boot(initramfs, &["is not signed by a key of", KEYS])?;
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

pub(crate) const KEYS: &str = "/etc/ostree/initramfs-root-binding.key";
pub(crate) const SIGNED: &str = "[composefs]\nenabled=signed\n";
/// As far as a boot can get on a kernel without fs-verity: the signature is right.
const VERIFIED: &str = "this kernel, or the filesystem, has no fs-verity";

/// The paths of the deployment's commit and of its signatures.
pub(crate) fn objects(initramfs: &Initramfs) -> Result<[String; 2]> {
    let name = initramfs.disk.deployment.rsplit('/').next().unwrap_or_default();
    let commit: Checksum = name.split('.').next().unwrap_or_default().parse()?;
    Ok(["commit", "commitmeta"].map(|kind| commit.object(kind)))
}

pub(crate) fn a_signature_by_one_of_the_keys_is_needed(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(SIGNED)?;
    refused_boot(initramfs, &["the file of trusted keys", KEYS, "cannot be read: No such file"])?;
    initramfs.write(KEYS, "nonsense!\n")?;
    refused_boot(initramfs, &[KEYS, "line 1 is not base64"])?;
    let (alice, bob) = (Signer::number(1), Signer::number(2));
    initramfs.write(KEYS, alice.key_file())?;
    let [_, signatures] = objects(initramfs)?;
    refused_boot(initramfs, &["is not signed: there is no", &signatures])?;
    bob.sign(Path::new("/sysroot"), BRANCH)?;
    refused_boot(initramfs, &["is not signed by a key of", KEYS, "none of its 1 signatures"])?;
    // Which of the keys, and which of the signatures, does not matter.
    initramfs.write(KEYS, alice.key_file() + &bob.key_file())?;
    refused_boot(initramfs, &[VERIFIED])?;
    // Where it can be told which of them, it is.
    std::fs::create_dir("/sys")?;
    nix::mount::mount(Some("sys"), "/sys", Some("sysfs"), nix::mount::MsFlags::empty(), None::<&str>)?;
    if !Path::new("/sys/fs/ext4/features/verity").exists() {
        refused_boot(initramfs, &["and this kernel has no fs-verity", "whose kernel has it"])?;
    }
    initramfs.unmount("/sys")?;
    // The same, asked for by the command line alone.
    initramfs.configure("")?;
    let line = format!("{} ostree.prepare-root.composefs=signed", initramfs.disk.argument());
    refused(initramfs, &["/sysroot", &line], &[VERIFIED, "kernel argument"])?;
    Ok(())
}

/// What is on the disk is believed in nothing.
pub(crate) fn no_damage_passes_for_a_signature(initramfs: &mut Initramfs) -> Result<()> {
    let signer = Signer::number(1);
    initramfs.configure(SIGNED)?;
    initramfs.write(KEYS, signer.key_file())?;
    signer.sign(Path::new("/sysroot"), BRANCH)?;
    refused_boot(initramfs, &[VERIFIED])?;
    let [commit, signatures] = objects(initramfs)?;
    let disk = &initramfs.disk;
    let (object, metadata) = (std::fs::read(disk.path(&commit))?, std::fs::read(disk.path(&signatures))?);
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        bytes
    };
    let half = |bytes: &[u8]| bytes.iter().take(bytes.len() / 2).copied().collect::<Vec<_>>();
    let sparse = |path: &str, size: u64| {
        disk.remove(path)?;
        Ok(std::fs::File::create(disk.path(path))?.set_len(size)?)
    };
    let spoil: [(&dyn Fn() -> Result<()>, &str); 9] = [
        (&|| disk.file(&commit, flipped(&object, 20)), "is damaged: its checksum is"),
        (&|| disk.file(&commit, half(&object)), "is damaged: its checksum is"),
        (&|| sparse(&commit, 200 << 20), "File too large"),
        (&|| disk.file(&signatures, flipped(&metadata, metadata.len() - 20)), "is not signed by a key"),
        (&|| disk.file(&signatures, half(&metadata)), "is not signed by a key"),
        (&|| disk.file(&signatures, ""), "it has no Ed25519 signature"),
        (&|| disk.file(&signatures, signer.metadata(&object, 10_000)), "it has 10000 signatures"),
        (&|| sparse(&signatures, 200 << 20), "File too large"),
        (
            &|| {
                disk.remove(&signatures)?;
                disk.file("kept", &metadata)?;
                disk.link(&signatures, "/kept")
            },
            "symbolic links",
        ),
    ];
    for (spoil, reason) in spoil {
        spoil()?;
        refused_boot(initramfs, &["cannot be verified", reason])?;
        for (path, bytes) in [(&commit, &object), (&signatures, &metadata)] {
            disk.remove(path)?;
            disk.file(path, bytes)?;
        }
    }
    refused_boot(initramfs, &[VERIFIED])?;
    Ok(())
}

/// A directory that has another commit's name is that commit's, or nobody's.
pub(crate) fn a_deployment_that_is_renamed_is_another_commits(initramfs: &mut Initramfs) -> Result<()> {
    let signer = Signer::number(1);
    initramfs.configure(SIGNED)?;
    initramfs.write(KEYS, signer.key_file())?;
    signer.sign(Path::new("/sysroot"), BRANCH)?;
    let disk = &initramfs.disk;
    disk.make_deployment_mutable()?;
    let renamed = format!("ostree/deploy/os/deploy/{}.0", "d".repeat(64));
    std::fs::rename(disk.path(&disk.deployment), disk.path(&renamed))?;
    let link = disk.bootlink.trim_start_matches('/');
    disk.remove(link)?;
    disk.link(link, &renamed.replacen("ostree/", "../../../", 1))?;
    refused_boot(initramfs, &["cannot be verified", &format!("/ostree/repo/objects/dd/{}.commit", "d".repeat(62))])?;
    Ok(())
}

pub(crate) fn the_command_line_weakens_only_what_it_may(initramfs: &mut Initramfs) -> Result<()> {
    let argument = initramfs.disk.argument();
    let off = format!("{argument} ostree.prepare-root.composefs=0");
    for (policy, reason) in [("strengthen", "is weaker than [composefs] enabled = signed"), ("ignore", KEYS)] {
        initramfs.configure(format!("{SIGNED}kernel-argument={policy}\n"))?;
        refused(initramfs, &["/sysroot", &off], &[reason])?;
    }
    // By design, and said.
    initramfs.configure(SIGNED)?;
    let outcome = initramfs.run(["/sysroot", &off])?;
    ensure!(outcome.code == Some(0) && outcome.stderr.contains("weakens [composefs] enabled = signed"), "{outcome:?}");
    ensure!(!initramfs.mounts()?.contains("composefs"), "{}", initramfs.mounts()?);
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
        (SIGNED.to_owned(), "without an initramfs nobody vouches"),
        (format!("{SIGNED}unverified-init=yes\n"), "the file of trusted keys"),
    ] {
        let (output, report) = booted_as_init(&configuration, "")?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && report.is_none() && told.contains(reason), "{output:?}");
    }
    Ok(())
}
