//! The peer's binary and ours, on the same disk, one after the other: the mount tables and `/run/ostree-booted` are equal.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};
use namespace_tests::{Initramfs, Outcome, Peer, inside, inside_of, listing};
use ostree_formats::booted_state::BootedState;
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::rootfs::Rootfs;

/// One machine to compare on.
struct Case {
    name: &'static str,
    configuration: &'static str,
    arrange: fn(&Initramfs) -> Result<()>,
    /// On a disk with a composefs image, which only the guest with a newer `ostree` makes.
    image: bool,
    /// Further kernel arguments.
    arguments: &'static str,
}

const fn configured(name: &'static str, configuration: &'static str) -> Case {
    Case { name, configuration, arrange: |_| Ok(()), image: false, arguments: "" }
}

const fn with_image(name: &'static str, configuration: &'static str) -> Case {
    Case { image: true, ..configured(name, configuration) }
}

const fn arranged(name: &'static str, arrange: fn(&Initramfs) -> Result<()>) -> Case {
    Case { arrange, ..configured(name, "") }
}

/// As recipes of Fedora's and bootc's leave it, which append with `>>`.
const APPENDED: &str = "[composefs]\nenabled = maybe\n[sysroot]\nreadonly = true\n[sysroot]\nreadonly = true\n[composefs]\nenabled = maybe\n";

static CASES: &[Case] = &[
    configured("plain", ""),
    configured("sysroot_readonly", "[sysroot]\nreadonly=true\n"),
    configured("sysroot_readonly_as_1", "[sysroot]\nreadonly=1  \n"),
    configured("etc_transient_and_sysroot_readonly", "[etc]\ntransient=true\n[sysroot]\nreadonly=true\n"),
    configured("groups_that_stand_twice", APPENDED),
    configured(
        "of_two_values_the_later_counts",
        "[sysroot]\nreadonly=x\n[etc]\n[sysroot]\nreadonly=false\nreadonly=true\n",
    ),
    configured("composefs_maybe_without_image", "[composefs]\nenabled=maybe\n"),
    configured("a_typing_mistake", "[sysroot]\nread-only=true\n"),
    arranged("repository_readonly", |i| i.disk.file("ostree/repo/config", "[sysroot]\nreadonly=true\n")),
    arranged("repository_readonly_garbage", |i| i.disk.file("ostree/repo/config", "[sysroot]\nreadonly=yes\n")),
    arranged("the_distributions_file", |i| i.write("/usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly=true\n")),
    arranged("both_files", |i| {
        i.write("/usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly=true\n")?;
        i.configure("[etc]\n")
    }),
    arranged("hotfix", begin_hotfix),
    arranged("separate_boot", |i| i.disk.remove("boot/loader")),
    arranged("read_only_disk", Initramfs::make_disk_read_only),
    Case {
        name: "read_only_disk_sysroot_readonly",
        configuration: "[sysroot]\nreadonly=true\n",
        arrange: Initramfs::make_disk_read_only,
        image: false,
        arguments: "",
    },
    with_image("image", "[composefs]\nenabled=yes\n"),
    with_image(
        "image_of_groups_that_stand_twice",
        "[composefs]\nenabled = no\n[sysroot]\nreadonly = true\n[composefs]\nenabled = yes\n",
    ),
    with_image("image_maybe", "[composefs]\nenabled=maybe\n"),
    with_image("image_unused", ""),
    // This machine's kernel has no fs-verity, so ours boots no root whose init is in the image.
    Case {
        arguments: "init=/etc/init",
        arrange: init_beside_the_image,
        ..with_image("image_with_verity", "[composefs]\nenabled=verity\n")
    },
    Case {
        arguments: "ostree.prepare-root.composefs=maybe init=/etc/init",
        arrange: init_beside_the_image,
        ..with_image("image_by_argument_over_verity", "[composefs]\nenabled=verity\n")
    },
    with_image("image_with_sysroot_writable", "[composefs]\nenabled=yes\n[sysroot]\nreadonly=false\n"),
    with_image("image_with_etc_transient", "[composefs]\nenabled=yes\n[etc]\ntransient=true\n"),
    with_image("image_with_root_transient", "[composefs]\nenabled=yes\n[root]\ntransient=true\n"),
    with_image("image_with_root_transient_ro", "[composefs]\nenabled=yes\n[root]\ntransient-ro=true\n"),
    with_image(
        "image_with_everything_transient",
        "[composefs]\nenabled=yes\n[root]\ntransient=true\n[etc]\ntransient=true\n",
    ),
    Case { arguments: "ostree.prepare-root.composefs=yes", ..with_image("image_by_argument", "") },
    Case {
        arguments: "ostree.prepare-root.composefs=0",
        ..with_image("image_switched_off_by_argument", "[composefs]\nenabled=yes\n")
    },
    Case { arrange: begin_hotfix, ..with_image("image_with_a_hotfix", "[composefs]\nenabled=yes\n") },
    Case {
        arrange: Initramfs::make_disk_read_only,
        ..with_image("image_on_a_read_only_disk", "[composefs]\nenabled=yes\n")
    },
];

fn init_beside_the_image(initramfs: &Initramfs) -> Result<()> {
    initramfs.disk.file(&format!("{}/etc/init", initramfs.disk.deployment), "init")
}

fn begin_hotfix(initramfs: &Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.make_deployment_mutable()?;
    disk.directory(&format!("{}/.usr-ovl-upper", disk.deployment))?;
    disk.directory(&format!("{}/.usr-ovl-work", disk.deployment))
}

/// Every case with every peer.
pub(crate) fn trials() -> Vec<Trial> {
    let of = |guest: Guest| {
        let cases = CASES.iter().filter(move |case| guest == Guest::Forky || !case.image);
        let trials = cases.map(move |case| {
            let run = move || compare(guest, case).map_err(|error| Failed::from(format!("{error:#}")));
            Trial::test(format!("beside_the_peer::{guest}::{}", case.name), run)
        });
        crate::of_guest(guest, trials.collect())
    };
    [Guest::Trixie, Guest::Forky].into_iter().flat_map(of).collect()
}

fn compare(guest: Guest, case: &Case) -> Result<()> {
    let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
    let peer = Peer { rootfs: Rootfs::of(guest, &Cache::open()?)?.path() };
    let story = |initramfs: &mut Initramfs| {
        if !case.configuration.is_empty() {
            initramfs.configure(case.configuration)?;
        }
        (case.arrange)(initramfs)?;
        // The peer's generator of 2026.1 and later mounts /boot, so there prepare-root does not.
        let boot = if guest == Guest::Forky { "no" } else { "yes" };
        initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf", format!("[boot]\nmount={boot}\n"))?;
        initramfs.keep_disk()?;
        initramfs.set_kernel_command_line(&format!(
            "root=LABEL=x rw {} {}\n",
            initramfs.disk.argument(),
            case.arguments
        ))?;

        let theirs = result(initramfs, Initramfs::boot_peer)?;
        initramfs.start_over()?;
        let ours = result(initramfs, |i| i.run(["--systemd=yes", "/sysroot"]))?;
        assert_eq!(ours.mounts, theirs.mounts, "mount tables");
        assert_eq!(ours.run, theirs.run, "/run");
        if guest == Guest::Forky {
            assert_eq!(ours.booted, theirs.booted, "/run/ostree-booted, byte for byte");
        } else {
            assert_eq!(by_key(&ours.booted)?, by_key(&theirs.booted)?, "/run/ostree-booted, by key");
        }
        Ok(())
    };
    if case.image {
        inside_of(&crate::composefs::machine()?, &binary, Some(&peer), story)
    } else {
        inside(&binary, Some(&peer), story)
    }
}

/// What a boot leaves.
struct Left {
    mounts: String,
    run: String,
    booted: Vec<u8>,
}

fn result(initramfs: &Initramfs, boot: impl Fn(&Initramfs) -> Result<Outcome>) -> Result<Left> {
    let outcome = boot(initramfs)?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let mut booted = std::fs::read("/run/ostree-booted")?;
    let mut mounts = initramfs.mounts()?;
    let mut run = listing(Path::new("/run"))?;
    // Named differences: the options of an overlay show the place where the new root is put together, and the peer's are
    // relative, too; the name of the transient directory is random (or, in 2025.2, fixed).
    for place in ["/run/ostree/.private/", "/sysroot.tmp/", &format!("/sysroot/{}/.usr", initramfs.disk.deployment)] {
        let end = if place.ends_with('/') { "=" } else { "=.usr" };
        mounts = mounts.replace(&format!("={place}"), end);
    }
    if !initramfs.mounts()?.contains("composefs") {
        // The peer makes the directory for an image also where it finds none.
        run = run.lines().filter(|line| !line.contains("cfsroot-lower directory")).collect::<Vec<_>>().join("\n");
    }
    for text in [&mut mounts, &mut run] {
        *text = without_random_name(text);
    }
    replace_random_name(&mut booted);
    Ok(Left { mounts, run, booted })
}

fn without_random_name(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    replace_random_name(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).replace("transient-etc.XXXXXX", "transient-etc");
    // Compared by content.
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.contains("ostree-booted file")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn replace_random_name(bytes: &mut [u8]) {
    const NAME: &[u8] = b"transient-etc.";
    let places: Vec<usize> =
        bytes.windows(NAME.len()).enumerate().filter(|(_, w)| *w == NAME).map(|(n, _)| n).collect();
    for place in places {
        if let Some(random) = bytes.get_mut(place + NAME.len()..place + NAME.len() + 6) {
            random.fill(b'X');
        }
    }
}

/// The keys that 2025.2 has, too. The directory of a transient `/etc` has a fixed name there.
fn by_key(booted: &[u8]) -> Result<BootedState> {
    let state = BootedState::from_bytes(booted)?;
    let transient_etc = state.transient_etc.as_ref().map(|_| "/run/ostree/transient-etc".to_owned());
    Ok(BootedState { transient_etc, ..state })
}
