//! A signature that is demanded of an image's commit. This machine's kernel has no fs-verity, so a boot gets as far as finding that out:
//! what is signed and sealed boots in whole machines.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use namespace_tests::{Initramfs, inside_of};
use ostree_formats::deployment::Checksum;
use qemu_tests::guest::Guest;
use qemu_tests::signer::Signer;

use crate::bad_input::{refused, refused_boot};
use crate::composefs::{BRANCH, COMMIT, DEPLOY};

pub(crate) const KEYS: &str = "/etc/ostree/initramfs-root-binding.key";
pub(crate) const SIGNED: &str = "[composefs]\nenabled=signed\n";
/// As far as a boot can get on a kernel without fs-verity: the signature is right.
const VERIFIED: &str = "this kernel or the filesystem has no fs-verity";

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
        refused_boot(initramfs, &["but this kernel has no fs-verity", "whose kernel has fs-verity"])?;
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
    ensure!(outcome.code == Some(0) && outcome.told().contains("weakens [composefs] enabled = signed"), "{outcome:?}");
    ensure!(!initramfs.mounts()?.contains("composefs"), "{}", initramfs.mounts()?);
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
        refused_boot(initramfs, &["cannot be verified", "neither this commit nor its parent"])?;
        Signer::number(2).sign(Path::new("/sysroot"), BRANCH)?;
        refused_boot(initramfs, &["cannot be verified", "none of its 1 signatures"])?;
        Signer::number(1).sign(Path::new("/sysroot"), BRANCH)?;
        refused_boot(initramfs, &[VERIFIED])?;
        Ok(())
    })
}
