//! The comparison itself: what is the same is found to be the same, and each kind of difference is found, alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Story, compare, listing, show};
use qemu_tests::command::run;
use qemu_tests::guest::Guest;

/// Something that is done to one of two equal disks: what, and what the comparison must say of it.
struct Sabotage {
    alter: fn(&Path) -> Result<()>,
    told: &'static [&'static str],
}

/// The deployment that was staged: the one with a file that only the second tree has.
fn deployment(root: &Path) -> Result<PathBuf> {
    let deployments = fs::read_dir(root.join("ostree/deploy/os/deploy"))?;
    let mut paths = deployments.flatten().map(|entry| entry.path());
    paths.find(|path| path.join("usr/lib/second").exists()).context("no deployment of the second tree")
}

fn etc(root: &Path, name: &str) -> Result<PathBuf> {
    Ok(deployment(root)?.join("etc").join(name))
}

fn chattr(flag: &str, path: &Path) -> Result<()> {
    run(std::process::Command::new("chattr").arg(flag).arg(path)).map(drop)
}

static SABOTAGES: &[Sabotage] = &[
    Sabotage { alter: |_| Ok(()), told: &[] },
    Sabotage {
        alter: |root| Ok(fs::set_permissions(etc(root, "passwd")?, Permissions::from_mode(0o4644))?),
        told: &["/etc/passwd: mode: ours 4644, peer 0644"],
    },
    Sabotage {
        alter: |root| Ok(chown(etc(root, "conf.d")?, Some(1), None)?),
        told: &["/etc/conf.d: owner: ours 1:0, peer 0:0"],
    },
    Sabotage {
        alter: |root| {
            let path = etc(root, "passwd")?;
            Ok(rustix::fs::setxattr(path, "user.mine", b"x\n", rustix::fs::XattrFlags::empty())?)
        },
        told: &["/etc/passwd: attribute user.mine: ours x\\n, peer none"],
    },
    Sabotage {
        alter: |root| Ok(fs::write(etc(root, "group")?, "other")?),
        told: &["/etc/group: content: ours \"other\", peer \"root:x:0:\\\\n\""],
    },
    Sabotage {
        alter: |root| Ok(fs::write(etc(root, "line\nfeed")?, "new")?),
        told: &["/etc/line\\nfeed: only ours has this file"],
    },
    Sabotage {
        alter: |root| Ok(fs::remove_file(etc(root, "group")?)?),
        told: &["/etc/group: only the peer has this file"],
    },
    Sabotage {
        alter: |root| {
            fs::remove_file(etc(root, "one")?)?;
            Ok(fs::write(etc(root, "one")?, "same")?)
        },
        // The other one has lost a name, too.
        told: &["/etc/one: same file as: ours none, peer ", "/etc/two: same file as: ours none, peer "],
    },
    Sabotage {
        alter: |root| {
            fs::remove_file(etc(root, "os-release")?)?;
            Ok(symlink("elsewhere", etc(root, "os-release")?)?)
        },
        told: &["/etc/os-release: target: ours elsewhere, peer ../usr/lib/os-release"],
    },
    Sabotage {
        alter: |root| {
            fs::remove_file(etc(root, "group")?)?;
            Ok(fs::create_dir(etc(root, "group")?)?)
        },
        told: &[
            "/etc/group: content: ours none",
            "/etc/group: kind: ours directory, peer file",
            "/etc/group: mode: ours 0755",
        ],
    },
    Sabotage { alter: |root| chattr("-i", &deployment(root)?), told: &[": immutable: ours none, peer yes"] },
    Sabotage {
        alter: |root| {
            let path = root.join("boot/loader/entries/ostree-2.conf");
            Ok(fs::write(&path, fs::read_to_string(&path)?.replace(" rw ", " ro "))?)
        },
        told: &["ostree-2.conf: key options: ours root=LABEL=root ro ostree="],
    },
    Sabotage {
        alter: |root| Ok(fs::remove_file(root.join("ostree/repo/refs/heads/ostree/0/1/0"))?),
        told: &["ostree/repo/refs/heads/ostree/0/1/0: only the peer has this file"],
    },
    Sabotage {
        alter: |root| {
            fs::create_dir(root.join("ostree/repo/objects/new"))?;
            Ok(fs::write(root.join("ostree/repo/objects/new/x.file"), "")?)
        },
        told: &["ostree/repo/objects/new: only ours has this directory", "objects/new/x.file: only ours has this file"],
    },
];

pub(crate) fn each_kind_of_difference_is_found(guest: Guest) -> Result<()> {
    let story = Story::named("sabotaged")
        .tree("os/next", "2", "kernel 2\necho 2 >usr/lib/second\nmkdir -p usr/lib/x")
        .stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    let finalized = machine.finalize(Contestant::Peer)?;
    finalized.outcome.success()?;
    // The peer splits hard links.
    machine.with_disk(|root| {
        fs::write(etc(root, "one")?, "same")?;
        Ok(fs::hard_link(etc(root, "one")?, etc(root, "two")?)?)
    })?;
    let peer = listing(&machine, &finalized)?;
    ensure!(peer.len() > 300, "only {} things are compared", peer.len());
    for (number, sabotage) in SABOTAGES.iter().enumerate() {
        let other = machine.another()?;
        other.with_disk(sabotage.alter).with_context(|| format!("sabotage {number}"))?;
        let found = compare(&listing(&other, &finalized)?, &peer);
        let shown = show(&found);
        ensure!(found.len() == sabotage.told.len(), "sabotage {number}: {:?} expected, found\n{shown}", sabotage.told);
        for told in sabotage.told {
            ensure!(shown.contains(told), "sabotage {number}: no {told:?} in\n{shown}");
        }
    }
    Ok(())
}

pub(crate) fn what_the_journal_is_told_is_compared(guest: Guest) -> Result<()> {
    let machine = Story::new_kernel().staged(guest)?.copy()?;
    let finalized = machine.finalize(Contestant::Peer)?;
    let peer = listing(&machine, &finalized)?;
    let mut other = finalized.clone();
    other.outcome.code = Some(1);
    for message in &mut other.journal {
        if let Some(number) = message.get_mut("OSTREE_N_DEPLOYMENTS") {
            number.push('0');
        }
        message.remove("ETC_N_ADDED");
    }
    other.journal.retain(|message| !message.contains_key("OSTREE_DEPLOYSERIAL"));
    let shown = show(&compare(&listing(&machine, &other)?, &peer));
    for told in [
        "exit status: status: ours Some(1), signal None, peer Some(0), signal None\n",
        "ETC_N_ADDED: ours none, peer 0\n",
        "OSTREE_N_DEPLOYMENTS: ours 20, peer 2\n",
        "e8646cd63dff4625b77909a8e7a40994: only the peer has this message\n",
    ] {
        ensure!(shown.contains(told), "no {told:?} in\n{shown}");
    }
    ensure!(shown.lines().count() == 4, "{shown}");
    Ok(())
}
