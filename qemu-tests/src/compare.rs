//! Ours beside the peer's: the same disk, booted twice.

use std::fmt::Write;

use anyhow::{Result, ensure};

use crate::booted_state;
use crate::guest::Guest;
use crate::report::Report;

/// A way in which ours is meant to differ, with a name that the documentation has too.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// What it is.
    pub name: &'static str,
    /// Takes a line of the facts, of either report, to what both should have; none if the line is not to be compared.
    pub level: fn(&str) -> Option<String>,
}

/// `root.transient-ro` came after ostree 2025.2.
pub const NO_TRANSIENT_RO: Difference = Difference {
    name: "ostree 2025.2 writes no root.transient-ro",
    level: |line| (!line.starts_with("booted: root.transient-ro = ")).then(|| line.to_owned()),
};

/// ostree 2025.2 has one fixed directory for a transient `/etc`; ours has a random name, as later versions have.
pub const FIXED_TRANSIENT_ETC: Difference = Difference {
    name: "ostree 2025.2 has the transient /etc in /run/ostree/transient-etc",
    level: |line| {
        let line = line.replace("/run/ostree/transient-etc.XXXXXX", "/run/ostree/transient-etc");
        Some(line.replace("/ostree/transient-etc.XXXXXX", "/ostree/transient-etc"))
    },
};

/// Options of an overlay show where the new root was put together: `/run/ostree/.private` is ours, the peer's are relative, or
/// below `/sysroot.tmp`.
pub const ABSOLUTE_LAYERS: Difference = Difference {
    name: "lower, upper and work directories of overlays are absolute paths",
    level: |line| Some(line.replace("dir=/run/ostree/.private/", "dir=").replace("dir=/sysroot.tmp/", "dir=")),
};

/// Without an initramfs ours mounts `/var` itself. Debian's peer is built for systemd, whose mount of `/var` in
/// the booted system has the mount of the physical root as its master.
pub const VAR_IN_THE_INITRAMFS: Difference = Difference {
    name: "systemd or not is found out when it runs",
    level: |line| {
        let without_master = line.split_once(" master:").map_or(line, |(rest, _)| rest);
        Some(if line.starts_with("mount: /var ") { without_master } else { line }.to_owned())
    },
};

/// Where the generator of newer libostree mounts `/boot`, it takes it from `/sysroot`, read-only if that is. Without an initramfs,
/// and so without anybody who knew that there is such a generator, ours mounts it before, writable as in Debian 13.
pub const BOOT_BEFORE_THE_GENERATOR: Difference = Difference {
    name: "without an initramfs /boot is always mounted",
    level: |line| {
        let other = !line.starts_with("mount: /boot ");
        other.then(|| line.replace(" shared:/boot", " shared:/sysroot"))
    },
};

/// The differences that the guest's version of `ostree` makes.
pub fn version_differences(guest: Guest) -> &'static [Difference] {
    match guest {
        Guest::Bookworm | Guest::Trixie | Guest::TrixieInitramfsTools => {
            &[NO_TRANSIENT_RO, FIXED_TRANSIENT_ETC, ABSOLUTE_LAYERS]
        }
        Guest::Forky | Guest::ForkySelinux => &[ABSOLUTE_LAYERS],
    }
}

/// Fails with the lines that differ, unless the two machines are the same but for `differences`.
pub fn same_as_peer(ours: &Report, peer: &Report, differences: &[Difference]) -> Result<()> {
    let (ours, peer) = (facts(ours)?, facts(peer)?);
    let diff = diff(&level(&ours, differences), &level(&peer, differences));
    let allowed: Vec<&str> = differences.iter().map(|difference| difference.name).collect();
    ensure!(diff.is_empty(), "ours (+) is not the same as the peer's (-), not even but for {allowed:?}:\n{diff}");
    Ok(())
}

/// Fails unless both have written the same `/run/ostree-booted`, to the byte, but for the random name of a transient `/etc`.
pub fn same_booted_state(ours: &Report, peer: &Report) -> Result<()> {
    let (mut ours, mut peer) = (ours.booted_state()?, peer.booted_state()?);
    hide_random_name(&mut ours);
    hide_random_name(&mut peer);
    ensure!(ours == peer, "/run/ostree-booted: ours is {ours:02x?}, the peer's {peer:02x?}");
    Ok(())
}

/// Overwrites the six characters that `mkdtemp` chose.
fn hide_random_name(booted: &mut [u8]) {
    const BEFORE: &[u8] = b"/transient-etc.";
    let start = booted.windows(BEFORE.len()).position(|window| window == BEFORE);
    let random = start.and_then(|start| booted.get_mut(start.checked_add(BEFORE.len())?..));
    if let Some(random) = random.and_then(|rest| rest.get_mut(..6)) {
        random.fill(b'X');
    }
}

/// All that is compared, as lines.
fn facts(report: &Report) -> Result<Vec<String>> {
    let mut facts = Vec::new();
    for mount in report.mount_table()?.mounts() {
        // Credentials come and go with services.
        if !mount.target.starts_with("/run/credentials") {
            facts.push(format!("mount: {mount}"));
        }
    }
    facts.extend(booted_state::lines(&report.booted_state()?).iter().map(|line| format!("booted: {line}")));
    facts.extend(report.admin_status()?.lines().map(|line| format!("status: {line}")));
    facts.extend(report.text("volatile-root")?.lines().map(|line| format!("volatile-root: {line}")));
    facts.extend(report.failed_units()?.lines().map(|line| format!("failed: {line}")));
    // A random name, as in the mount table.
    Ok(facts.iter().map(|line| crate::mounts::without_random_names(line)).collect())
}

fn level(facts: &[String], differences: &[Difference]) -> Vec<String> {
    let line = |line: &String| differences.iter().try_fold(line.clone(), |line, difference| (difference.level)(&line));
    facts.iter().filter_map(line).collect()
}

/// Lines of one only, in order; lines that both have are left out.
fn diff(ours: &[String], peer: &[String]) -> String {
    let mut out = String::new();
    for line in peer.iter().filter(|line| !ours.contains(line)) {
        let _ = writeln!(out, "- {line}");
    }
    for line in ours.iter().filter(|line| !peer.contains(line)) {
        let _ = writeln!(out, "+ {line}");
    }
    if out.is_empty() && ours != peer {
        let _ = writeln!(out, "the same lines in another order or number:\n- {peer:#?}\n+ {ours:#?}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_difference_is_none() {
        let ours =
            ["booted: root.transient-ro = false".to_owned(), "mount: /a /run/ostree/transient-etc.XXXXXX".to_owned()];
        let peer = ["mount: /a /run/ostree/transient-etc".to_owned()];
        let differences = version_differences(Guest::Trixie);
        assert_eq!(diff(&level(&ours, differences), &level(&peer, differences)), "");
        assert!(diff(&ours, &peer).starts_with("- mount: /a"));
        assert_eq!(diff(&peer, &ours).lines().count(), 3);
    }

    #[test]
    fn layers_are_the_same_however_they_are_named() {
        let ours = "lowerdir=/run/ostree/.private/usr,upperdir=/run/ostree/.private/.usr-ovl-upper";
        for peer in ["lowerdir=usr,upperdir=.usr-ovl-upper", "lowerdir=/sysroot.tmp/usr,upperdir=.usr-ovl-upper"] {
            assert_eq!((ABSOLUTE_LAYERS.level)(ours), (ABSOLUTE_LAYERS.level)(peer));
        }
    }

    #[test]
    fn order_counts() {
        let [a, b] = ["a".to_owned(), "b".to_owned()];
        assert!(!diff(&[a.clone(), b.clone()], &[b, a]).is_empty());
    }
}
