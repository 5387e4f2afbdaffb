//! The ways in which ours is meant to differ. Each has a sentence in `docs/differences.md`, under [`HEADING`].

use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Found;
use qemu_tests::guest::Guest;

use crate::scenario::{Difference, Scenario};

const HEADING: &str = "## Finalizing: names of differences";

const BOTH: &[Guest] = &[Guest::Trixie, Guest::Forky];

/// Where `/boot` is on the physical root's filesystem, its kernels are the deployments' own files.
static BOOT_LINKS: Difference = Difference {
    name: "boot-hard-links",
    accepts: |found| {
        let in_boot = found.path.starts_with("boot/ostree/");
        let linked = found.ours.as_ref().is_some_and(|first| first.starts_with("boot/ostree/"));
        found.aspect == "same file as" && linked
            || in_boot && found.aspect.starts_with("attribute ") && found.peer.is_none()
    },
    with: BOTH,
};

/// ostree 2025.2 writes two keys for Android's boot loader into every entry.
static ABOOT_KEYS: Difference = Difference {
    name: "no-aboot-keys",
    accepts: |found| ["key aboot", "key abootcfg"].contains(&found.aspect.as_str()) && found.ours.is_none(),
    with: &[Guest::Trixie],
};

/// XFS moves a directory out of its inode when it grows; ours is never in it.
static XFS_DIRECTORY: Difference = Difference {
    name: "xfs-directory",
    accepts: |found| {
        found.path.starts_with("boot/ostree/.keeps-this-directory-out-of-its-inode") && found.is_only_ours()
    },
    with: BOTH,
};

/// The deployment that an update has replaced goes after the next boot. What is in it is not compared: see `beside_the_peer`.
static OLD_DEPLOYMENT: Difference = Difference {
    name: "old-deployment-until-next-boot",
    accepts: |found| {
        let path = found.path.strip_suffix(".origin").unwrap_or(&found.path).replace("/backing/", "/deploy/");
        found.is_only_ours() && path.parse::<ostree_formats::deployment::DeploymentPath>().is_ok()
    },
    with: BOTH,
};

/// Whether ours has left a deployment to the next boot.
pub(crate) fn is_left_to_the_next_boot(found: &Found) -> bool {
    (OLD_DEPLOYMENT.accepts)(found)
}

/// Why it failed is told in each program's own words.
static FAILURE_TEXT: Difference = Difference {
    name: "failure-text",
    accepts: |found| found.path == "boot/ostree/finalize-failure.stamp" && found.aspect == "content",
    with: BOTH,
};

/// The peer counts a directory with another mode or owner, and does not change it; `/etc` itself it does not look at.
pub(crate) static ETC_DIRECTORIES: Difference = Difference {
    name: "etc-directory-metadata",
    accepts: |found| {
        let of_a_directory = in_etc(found).is_some() && ["mode", "owner"].contains(&found.aspect.as_str());
        of_a_directory || found.aspect == "ETC_N_MODIFIED"
    },
    with: BOTH,
};

/// The peer does not look at attributes.
pub(crate) static ETC_ATTRIBUTES: Difference = Difference {
    name: "etc-attributes",
    accepts: |found| {
        let kept = in_etc(found).is_some() && found.aspect.starts_with("attribute ") && found.peer.is_none();
        kept || found.aspect == "ETC_N_MODIFIED"
    },
    with: BOTH,
};

/// The peer drops the machine's directory.
pub(crate) static ETC_BOTH_DIRECTORIES: Difference = Difference {
    name: "etc-file-that-both-made-a-directory",
    accepts: |found| in_etc(found) == Some("passwd/m") && found.is_only_ours(),
    with: BOTH,
};

/// The peer writes through the link; ours takes it for a conflict.
pub(crate) static ETC_THROUGH_A_LINK: Difference =
    Difference { name: "etc-not-through-links", accepts: only_told, with: BOTH };

/// The peer finds out half-way.
pub(crate) static ETC_CONFLICT: Difference = Difference { name: "etc-conflict", accepts: only_told, with: BOTH };

/// What somebody who refuses leaves: that it was begun, and why it was not done.
fn only_told(found: &Found) -> bool {
    let begun = "journal: e8646cd63dff4625b77909a8e7a40994";
    found.is_only_ours() && [begun, "boot/ostree/finalize-failure.stamp"].contains(&found.path.as_str())
}

/// The peer brings all of a directory back.
pub(crate) static ETC_DROPPED_DIRECTORY: Difference = Difference {
    name: "etc-dropped-directory",
    accepts: |found| {
        in_etc(found).is_some_and(|path| path.starts_with("conf.d/")) && found.is_only_the_peers()
            || found.aspect == "ETC_N_MODIFIED"
    },
    with: BOTH,
};

/// The peer leaves nothing.
pub(crate) static ETC_SPECIAL: Difference = Difference {
    name: "etc-special-in-place-of-a-file",
    accepts: |found| in_etc(found) == Some("passwd") && found.is_only_ours(),
    with: BOTH,
};

/// The peer removes what others have put there.
pub(crate) static FOREIGN_ENTRIES: Difference = Difference {
    name: "foreign-entries",
    accepts: |found| found.path.ends_with("/entries/windows.conf") && found.is_only_ours(),
    with: BOTH,
};

/// The peer keeps every directory whose bootcsum is in use, whatever its stateroot.
pub(crate) static KERNEL_OF_ANOTHER_STATEROOT: Difference = Difference {
    name: "kernel-of-another-stateroot",
    accepts: |found| found.path.starts_with("boot/ostree/os-") && found.is_only_the_peers(),
    with: BOTH,
};

/// The peer does not look at what is there.
pub(crate) static DAMAGED_KERNEL: Difference = Difference {
    name: "damaged-kernel",
    accepts: |found| found.path.starts_with("boot/ostree/os-") && ["content", "mode"].contains(&found.aspect.as_str()),
    with: BOTH,
};

/// The peer takes it for none, and says nothing; or it crashes, holding the lock.
pub(crate) static DAMAGED_STAGED_FILE: Difference = Difference {
    name: "damaged-staged-file",
    accepts: |found| {
        ["exit status", "boot/ostree/finalize-failure.stamp", "ostree/lock"].contains(&found.path.as_str())
            || found.path.starts_with("run-ostree/")
    },
    with: BOTH,
};

/// The peer's labels are titles, of which syslinux appends all but the first word to the kernel's command line.
pub(crate) static SYSLINUX_LABELS: Difference = Difference {
    name: "syslinux-labels",
    accepts: |found| is_with(&with_titles(found), "/syslinux.cfg", ""),
    with: BOTH,
};

/// The same with the peer's labels. What is found has lines that end with `\\\\n`.
fn with_titles(found: &Found) -> Found {
    const LINE: &str = "\\\\n";
    let titles = |ours: &String| {
        let mut text = ours.clone();
        for index in 0..3 {
            let label = format!("LABEL ostree:{index}{LINE}\\\\tMENU LABEL ");
            let title = text.split_once(&label).and_then(|(_, rest)| Some(rest.split_once(LINE)?.0.to_owned()));
            let default = format!("DEFAULT ostree:{index}{LINE}");
            text = text.replace(&default, &format!("DEFAULT {}{LINE}", title.unwrap_or_default()));
            text = text.replace(&label, "LABEL ");
        }
        text
    };
    Found { ours: found.ours.as_ref().map(titles), ..found.clone() }
}

/// The peer drops the name of the default, and writes none.
pub(crate) static SYSLINUX_DEFAULT: Difference = Difference {
    name: "syslinux-default",
    accepts: |found| is_with(&with_titles(found), "/syslinux.cfg", "DEFAULT other\\\\n"),
    with: BOTH,
};

/// The peer writes the first initrd of an entry.
pub(crate) static SYSLINUX_OVERLAYS: Difference = Difference {
    name: "syslinux-overlay-initrds",
    accepts: |found| {
        let overlay = found.ours.as_ref().and_then(|ours| {
            let (_, after) = ours.split_once(".img,/boot/ostree/initramfs-overlays/")?;
            Some(format!(",/boot/ostree/initramfs-overlays/{}.img", after.split_once(".img")?.0))
        });
        overlay.is_some_and(|overlay| is_with(&with_titles(found), "/syslinux.cfg", &overlay))
    },
    with: BOTH,
};

/// The peer drops them.
pub(crate) static UBOOT_LINES: Difference =
    Difference { name: "uboot-lines", accepts: |found| is_with(found, "/uEnv.txt", "mine=1\\\\n"), with: BOTH };

/// Whether ours is the peer's text with this in it.
fn is_with(found: &Found, path: &str, more: &str) -> bool {
    let without = found.ours.as_ref().filter(|ours| ours.contains(more)).map(|ours| ours.replace(more, ""));
    found.path.ends_with(path) && found.aspect == "content" && without.is_some() && found.peer == without
}

/// The peer keeps the argument that it has added itself.
pub(crate) static INHERITED_INIT: Difference = Difference {
    name: "inherited-init",
    accepts: |found| {
        found.aspect == "key options" && found.peer.as_ref().is_some_and(|options| options.contains(" init=/ostree/"))
    },
    with: BOTH,
};

/// The peer takes it for a kernel without an initramfs.
pub(crate) static UNIFIED_KERNEL: Difference = Difference {
    name: "unified-kernel",
    accepts: |found| {
        let has_init =
            |options: &Option<String>| options.as_ref().is_some_and(|options| options.contains(" init=/ostree/"));
        found.aspect == "key options" && has_init(&found.peer) && !has_init(&found.ours)
    },
    with: BOTH,
};

/// The peer reads and writes the file anew, which it had written already when it staged.
pub(crate) static ORIGIN_COMMENTS: Difference = Difference {
    name: "origin-comments",
    accepts: |found| {
        let without = found.ours.as_ref().map(|ours| ours.replace("# note\\\\n", ""));
        found.path.ends_with(".origin") && found.aspect == "content" && found.peer == without
    },
    with: BOTH,
};

/// ostree 2025.2 stages an empty argument where there is none, and writes it.
pub(crate) static EMPTY_ARGUMENT: Difference = Difference {
    name: "no-empty-argument",
    accepts: |found| {
        let with_a_space = found.ours.as_ref().map(|options| format!(" {options}"));
        found.aspect == "key options" && found.peer == with_a_space
    },
    with: &[Guest::Trixie],
};

/// The path in a deployment's `/etc`; of `/etc` itself: empty.
fn in_etc(found: &Found) -> Option<&str> {
    let inside = found.path.strip_prefix("ostree/deploy/os/deploy/")?;
    let (_, inside) = inside.split_once('/')?;
    if inside == "etc" { Some("") } else { inside.strip_prefix("etc/") }
}

/// Those that any story can lead to.
static EVERYWHERE: &[&Difference] = &[&BOOT_LINKS, &ABOOT_KEYS, &XFS_DIRECTORY, &FAILURE_TEXT, &OLD_DEPLOYMENT];

/// What is left of `found` when the differences that `scenario` expects are taken away; and it is an error when one of its own
/// is not found.
pub(crate) fn unexpected(found: Vec<Found>, scenario: &Scenario, guest: Guest) -> Result<Vec<Found>> {
    let expected =
        scenario.refused.iter().chain(&scenario.differences).filter(|difference| difference.with.contains(&guest));
    for difference in expected.clone() {
        ensure!(
            found.iter().any(|found| (difference.accepts)(found)),
            "{} is expected, and was not found",
            difference.name
        );
    }
    // Where nothing was done, there is nothing that any story leads to.
    let everywhere: &[&Difference] = if scenario.refused.is_some() { &[] } else { EVERYWHERE };
    let all: Vec<_> = expected.chain(everywhere.iter().filter(|difference| difference.with.contains(&guest))).collect();
    Ok(found.into_iter().filter(|found| !all.iter().any(|difference| (difference.accepts)(found))).collect())
}

/// The names in the documentation.
fn documented() -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    names(&text)
}

fn names(text: &str) -> Result<Vec<String>> {
    let (_, after) = text.split_once(&format!("\n{HEADING}\n")).with_context(|| format!("no heading {HEADING:?}"))?;
    let list = after.split("\n## ").next().unwrap_or_default();
    let mut names = Vec::new();
    for line in list.lines().filter_map(|line| line.strip_prefix("- ")) {
        let name = line.strip_prefix('`').and_then(|rest| rest.split_once("`: "));
        let (name, _) = name.with_context(|| format!("not \"- `name`: sentence\": {line}"))?;
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Every difference that a scenario expects has a sentence in the documentation, and the other way round.
pub(crate) fn names_are_those_of_the_documentation(scenarios: &[Scenario]) -> Result<()> {
    let documented = documented()?;
    let used: Vec<&str> = scenarios
        .iter()
        .flat_map(|scenario| scenario.refused.iter().chain(&scenario.differences))
        .chain(EVERYWHERE)
        .map(|difference| difference.name)
        .collect();
    for name in &used {
        ensure!(documented.iter().any(|d| d == name), "{name} is not in docs/differences.md, under {HEADING:?}");
    }
    for name in &documented {
        ensure!(used.contains(&name.as_str()), "{name} is in docs/differences.md, and no scenario expects it");
    }
    Ok(())
}
