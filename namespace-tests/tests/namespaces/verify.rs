//! `--verify`, on a disk that the guest's `ostree` has deployed on. This machine's kernel has no fs-verity: sealed objects are
//! verified in whole machines.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Story;
use namespace_tests::{Initramfs, Outcome, inside_of};
use qemu_tests::guest::Guest;
use qemu_tests::signer::Signer;

use crate::composefs::{BRANCH, COMMIT, DEPLOY, ENABLED, image};
use crate::signed::{KEYS, SIGNED, objects};

const GOOD: i32 = 0;
const BAD: i32 = 1;
const CANNOT_TELL: i32 = 3;

/// The name of the disk's deployment, as `ostree admin status` shows it.
fn name(initramfs: &Initramfs) -> String {
    initramfs.disk.deployment.rsplit('/').next().unwrap_or_default().to_owned()
}

fn verify(initramfs: &Initramfs) -> Result<Outcome> {
    initramfs.run(["--verify", "/sysroot", &name(initramfs)])
}

fn says(outcome: &Outcome, code: i32, parts: &[&str]) -> Result<()> {
    ensure!(outcome.code == Some(code), "not {code}: {outcome:?}");
    for part in parts {
        ensure!(outcome.stdout.contains(part), "no {part:?}: {outcome:?}");
    }
    Ok(())
}

/// The object that a file of the deployment is a link to: its path on the physical root.
fn object_of(initramfs: &Initramfs, file: &str) -> Result<String> {
    let inode = |path: &Path| Ok::<_, anyhow::Error>(std::os::unix::fs::MetadataExt::ino(&path.symlink_metadata()?));
    let wanted = inode(&initramfs.disk.path(&format!("{}/{file}", initramfs.disk.deployment)))?;
    for directory in std::fs::read_dir(initramfs.disk.path("ostree/repo/objects"))? {
        for object in std::fs::read_dir(directory?.path())? {
            let path = object?.path();
            if inode(&path)? == wanted {
                return Ok(path.strip_prefix("/sysroot")?.display().to_string());
            }
        }
    }
    anyhow::bail!("no object of {file}")
}

pub(crate) fn what_is_whole_is_good_and_nothing_is_touched(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    initramfs.make_disk_read_only()?;
    let before = initramfs.mounts()?;
    let outcome = verify(initramfs)?;
    let said = ["[composefs] enabled = yes is met", "names and modes in it are not verified", "objects are not sealed"];
    says(&outcome, GOOD, &[&format!("/{}: good: ", initramfs.disk.deployment)])?;
    says(&outcome, GOOD, &said)?;
    ensure!(outcome.stderr.is_empty() && outcome.stdout.lines().count() == 1, "{outcome:?}");
    assert_eq!(initramfs.mounts()?, before);
    ensure!(std::fs::read_dir("/run")?.next().is_none(), "something is left in /run");
    // However it is called, it is the same one.
    let link = initramfs.disk.bootlink.clone();
    for called in [initramfs.disk.deployment.clone(), format!("/{}", initramfs.disk.deployment), link] {
        assert_eq!(initramfs.run(["--verify", "/sysroot", &called])?.stdout, outcome.stdout, "{called}");
    }
    Ok(())
}

pub(crate) fn every_deployment_is_looked_at_and_the_worst_counts(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let outcome = initramfs.run(["--verify", "/sysroot"])?;
    let other = outcome.stdout.lines().find(|line| !line.contains(&name(initramfs))).context("one deployment")?;
    let other = other.split(": ").next().unwrap_or_default().to_owned();
    ensure!(outcome.stdout.lines().count() == 2, "{outcome:?}");
    let image = format!("{other}/.ostree.cfs");
    initramfs.disk.make_mutable(&other)?;
    if initramfs.disk.path(&image).exists() {
        initramfs.disk.remove(&image)?;
    }
    let outcome = initramfs.run(["--verify", "/sysroot"])?;
    says(&outcome, BAD, &[": good: ", &format!("{other}: BAD: composefs is demanded"), "has no image"])
}

/// The first of them is named, with the file that it is for.
pub(crate) fn an_object_that_is_not_what_it_was_is_named(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let object = object_of(initramfs, "usr/bin/program")?;
    let disk = &initramfs.disk;
    let path = disk.path(&object);
    let (content, mode) = (std::fs::read(&path)?, std::fs::metadata(&path)?.permissions());
    let changed = [content.as_slice(), b"#"].concat();
    let spoil: [(&dyn Fn() -> Result<()>, &str); 6] = [
        (&|| Ok(()), "it is missing"),
        (
            &|| disk.file(&object, &changed),
            "its content, owner, mode or attributes do not match the checksum in its name",
        ),
        // Content as it was, and another mode.
        (
            &|| disk.file(&object, &content),
            "its content, owner, mode or attributes do not match the checksum in its name",
        ),
        (&|| disk.link(&object, "/etc/passwd"), "it is a symbolic link, or a directory of its path is one"),
        (&|| disk.directory(&object), "it is not a file"),
        (&|| Ok(nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR)?), "it is not a file"),
    ];
    for (spoil, reason) in spoil {
        disk.remove(&object)?;
        spoil()?;
        if path.is_file() {
            std::fs::set_permissions(&path, Permissions::from_mode(mode.mode() ^ 0o010))?;
        }
        says(&verify(initramfs)?, BAD, &[&format!("BAD: the object /{object} (/usr/bin/program): {reason}")])?;
        if path.symlink_metadata().is_err() {
            disk.file(&object, "")?;
        }
    }
    Ok(())
}

pub(crate) fn what_is_no_image_is_bad(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let (disk, path) = (&initramfs.disk, image(initramfs));
    disk.make_deployment_mutable()?;
    let whole = std::fs::read(disk.path(&path))?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    let spoil: [(&dyn Fn() -> Result<()>, &str); 4] = [
        (&|| disk.file(&path, ""), "cannot be mounted"),
        (&|| disk.link(&path, "usr/bin/program"), "must be a file, but is a symbolic link"),
        (&|| disk.directory(&path), "must be a file, but is a directory"),
        (&|| disk.file(&path, half), "image .ostree.cfs"),
    ];
    for (spoil, reason) in spoil {
        disk.remove(&path)?;
        spoil()?;
        says(&verify(initramfs)?, BAD, &[": BAD: ", reason])?;
    }
    disk.remove(&path)?;
    std::fs::File::create(disk.path(&path))?.set_len(1 << 40)?;
    says(&verify(initramfs)?, CANNOT_TELL, &["has 1099511627776 bytes"])
}

/// What boots is more than the image: what a plan refuses, and what lies over it.
pub(crate) fn what_would_not_boot_is_bad_whatever_the_image_is(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let disk = &initramfs.disk;
    disk.make_deployment_mutable()?;
    let inside = |name: &str| format!("{}/{name}", disk.deployment);
    disk.directory(&inside(".usr-ovl-work"))?;
    says(&verify(initramfs)?, BAD, &["no directory .usr-ovl-upper"])?;
    disk.directory(&inside(".usr-ovl-upper"))?;
    says(&verify(initramfs)?, CANNOT_TELL, &["a hotfix (.usr-ovl-upper) lies over its /usr"])?;
    disk.remove(&inside(".usr-ovl-work"))?;
    says(&verify(initramfs)?, GOOD, &[])?;
    // One that is staged has none yet, maybe; the tree's own becomes it.
    std::fs::rename(disk.path(&inside("etc")), disk.path("etc"))?;
    says(&verify(initramfs)?, GOOD, &[])?;
    disk.remove(&inside("sysroot"))?;
    says(&verify(initramfs)?, BAD, &["no directory sysroot"])
}

/// Overlayfs follows no link in its layers, and neither is one followed here.
pub(crate) fn objects_are_looked_up_as_the_kernel_does(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let object = object_of(initramfs, "usr/bin/program")?;
    let (directory, _) = object.rsplit_once('/').context("no directory")?;
    let disk = &initramfs.disk;
    std::fs::rename(disk.path(directory), disk.path("elsewhere"))?;
    disk.link(directory, "../../../elsewhere")?;
    says(&verify(initramfs)?, BAD, &["it is a symbolic link, or a directory of its path is one"])?;
    disk.remove(directory)?;
    disk.directory(directory)?;
    let bind = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some(&disk.path("elsewhere")), &disk.path(directory), None::<&str>, bind, None::<&str>)?;
    says(&verify(initramfs)?, CANNOT_TELL, &["it cannot be opened"])
}

/// No deployment is passed over because its directory cannot be listed; nobody is told "good" whom nobody told.
pub(crate) fn what_was_not_looked_at_or_not_said_is_not_good(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure(ENABLED)?;
    let mut full = std::process::Command::new("/usr/lib/ostree/ostree-prepare-root");
    full.args(["--verify", "/sysroot", &name(initramfs)]).stdout(std::fs::File::create("/dev/full")?);
    ensure!(full.status()?.code() == Some(CANNOT_TELL), "it could not print");
    // One in which nothing was deployed yet is no reason.
    initramfs.disk.directory("ostree/deploy/empty/var")?;
    let outcome = initramfs.run(["--verify", "/sysroot"])?;
    ensure!(outcome.code == Some(GOOD) && outcome.stderr.is_empty(), "{outcome:?}");
    initramfs.disk.file("ostree/deploy/other/deploy", "")?;
    let outcome = initramfs.run(["--verify", "/sysroot"])?;
    ensure!(outcome.code == Some(CANNOT_TELL), "{outcome:?}");
    ensure!(outcome.told().contains("cannot list /ostree/deploy/other/deploy"), "{outcome:?}");
    Ok(())
}

/// Keys that are named, and a kernel argument, make it stricter and never weaker; a deployment names no keys for itself.
pub(crate) fn nothing_makes_a_demand_weaker(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[composefs]\nenabled=verity\n")?;
    for argument in ["yes", "no"] {
        initramfs.set_kernel_command_line(&format!("quiet ostree.prepare-root.composefs={argument}\n"))?;
        says(&verify(initramfs)?, BAD, &["the image was made without fs-verity"])?;
        initramfs.unmount("/proc/cmdline")?;
    }
    initramfs.configure(ENABLED)?;
    initramfs.set_kernel_command_line("ostree.prepare-root.composefs=nonsense\n")?;
    says(&verify(initramfs)?, CANNOT_TELL, &["composefs=nonsense"])?;
    initramfs.unmount("/proc/cmdline")?;
    initramfs.write("/mine.key", Signer::number(1).key_file())?;
    let with_keys = ["--verify", "--keys", "/mine.key", "/sysroot", &name(initramfs)];
    says(&initramfs.run(with_keys)?, BAD, &["is not signed"])?;
    // Its own key, by which it is signed.
    Signer::number(2).sign(Path::new("/sysroot"), BRANCH)?;
    let own = format!("{}/usr/lib/ostree/prepare-root.conf", initramfs.disk.deployment);
    initramfs.disk.file("own.key", Signer::number(2).key_file())?;
    initramfs.disk.file(&own, format!("{SIGNED}keypath=/sysroot/own.key\n"))?;
    says(&verify(initramfs)?, CANNOT_TELL, &["the file of trusted keys", KEYS])
}

pub(crate) fn a_signature_that_is_demanded_is_looked_for(initramfs: &mut Initramfs) -> Result<()> {
    // The deployment's own configuration, of which its initramfs is made, is stricter than that of whoever looks.
    initramfs.configure(ENABLED)?;
    let own = format!("{}/usr/lib/ostree/prepare-root.conf", initramfs.disk.deployment);
    initramfs.disk.file(&own, SIGNED)?;
    says(&verify(initramfs)?, CANNOT_TELL, &[": cannot tell: the file of trusted keys", KEYS, "No such file"])?;
    initramfs.write(KEYS, Signer::number(1).key_file())?;
    let [commit, signatures] = objects(initramfs)?;
    says(&verify(initramfs)?, BAD, &["BAD: the commit", "is not signed: there is no", &signatures])?;
    Signer::number(2).sign(Path::new("/sysroot"), BRANCH)?;
    says(&verify(initramfs)?, BAD, &["is not signed by a key of", KEYS])?;
    // As far as it can be told on a kernel without fs-verity.
    initramfs.write("/other.key", Signer::number(2).key_file())?;
    let outcome = initramfs.run(["--verify", "--keys", "/other.key", "/sysroot", &name(initramfs)])?;
    says(&outcome, CANNOT_TELL, &["enabled = signed in the deployment", "has no fs-verity"])?;
    initramfs.disk.file(&commit, "")?;
    says(&verify(initramfs)?, BAD, &["is damaged", &commit])
}

/// Nothing of the deployment is to blame.
pub(crate) fn what_cannot_be_told_here_is_said(initramfs: &mut Initramfs) -> Result<()> {
    says(&verify(initramfs)?, CANNOT_TELL, &["composefs is off ([composefs] enabled = no)", "ostree fsck"])?;
    initramfs.configure(ENABLED)?;
    let mut unprivileged = initramfs.host_program("setpriv");
    unprivileged.args(["--reuid=1000", "--regid=1000", "--clear-groups", "/usr/lib/ostree/ostree-prepare-root"]);
    let output = unprivileged.args(["--verify", "/sysroot", &name(initramfs)]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(CANNOT_TELL) && text.contains("Operation not permitted"), "{output:?}");
    let no_erofs = ["-o", "/trace", "-e", "trace=fsopen", "-e", "inject=fsopen:error=ENODEV"];
    let outcome = initramfs.strace(&no_erofs, ["--verify", "/sysroot", &name(initramfs)])?;
    says(&outcome, CANNOT_TELL, &["cannot be mounted", "No such device"])?;
    for wrong in ["abc.0", &"a".repeat(64), &format!("{}.7", "a".repeat(64)), "/etc"] {
        let outcome = initramfs.run(["--verify", "/sysroot", wrong])?;
        ensure!(outcome.code == Some(CANNOT_TELL) && !outcome.stderr.is_empty(), "{wrong}: {outcome:?}");
    }
    let outcome = initramfs.run(["--verify", "/usr"])?;
    ensure!(outcome.code == Some(CANNOT_TELL) && outcome.told().contains("no directory /ostree"), "{outcome:?}");
    Ok(())
}

/// A file whose name forges a verdict and colours it. What a disk says is shown as one line, without anything that a terminal obeys.
pub(crate) fn names_on_a_disk_do_not_talk_to_the_terminal() -> Result<()> {
    const ODD: &str = "usr/bin/a\n x: good: all is well\u{1b}[31m";
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    let tree = format!("echo odd >'{ODD}'");
    let install = format!("{COMMIT}\n{DEPLOY} {BRANCH}");
    let machine =
        Story::named("image-with-odd-name").first_tree(tree).installed(install).staged(Guest::Forky)?.copy()?;
    inside_of(&machine, &binary, None, |initramfs| {
        initramfs.configure(ENABLED)?;
        initramfs.disk.remove(&object_of(initramfs, ODD)?)?;
        let outcome = verify(initramfs)?;
        says(&outcome, BAD, &["it is missing", "usr/bin/a\\n x: good: all is well\\u{1b}[31m"])?;
        ensure!(outcome.stdout.lines().count() == 1, "{outcome:?}");
        Ok(())
    })
}

/// An image with digests, on a filesystem of which nobody can tell whether a file is sealed: its objects are compared with their
/// names all the same.
pub(crate) fn seals_that_cannot_be_seen_are_not_taken_for_broken_ones() -> Result<()> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    let checkout = format!("cd /target && ostree --repo=ostree/repo checkout --composefs {BRANCH} with-digests");
    let install = format!("{COMMIT}\n{DEPLOY} {BRANCH}\n{checkout}");
    let machine = Story::named("image-with-digests").installed(install).staged(Guest::Forky)?.copy()?;
    inside_of(&machine, &binary, None, |initramfs| {
        initramfs.configure("[composefs]\nenabled=verity\n")?;
        says(&verify(initramfs)?, BAD, &["the image was made without fs-verity"])?;
        let (disk, path) = (&initramfs.disk, image(initramfs));
        disk.make_deployment_mutable()?;
        std::fs::copy(disk.path("with-digests"), disk.path(&path))?;
        let unseen = "objects matches their names, but none is sealed: this kernel or the filesystem";
        says(&verify(initramfs)?, CANNOT_TELL, &[unseen])?;
        initramfs.configure(ENABLED)?;
        says(&verify(initramfs)?, GOOD, &["objects are not sealed"])?;
        let object = object_of(initramfs, "usr/bin/program")?;
        disk.remove(&object)?;
        disk.file(&object, "other")?;
        initramfs.configure("[composefs]\nenabled=verity\n")?;
        says(&verify(initramfs)?, BAD, &[&object])
    })
}
