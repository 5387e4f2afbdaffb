//! The boot path of the real root: the generator and the remounts, in a guest's tree.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::namespace::Namespace;
use qemu_tests::rootfs::Rootfs;

use super::MEASURE;
use super::table::{Comparison, Goal, Section, Unit};

/// An ordinary machine with `/boot` on its root, and what runs programs of the host. `$runs` directories for units are made beforehand,
/// so that nothing but the program is started while time is taken.
const MACHINE: &str = r#"
mkdir -p /sysroot/boot /boot /run/ostree /run/given; ln -s loader.1 /sysroot/boot/loader
echo 'root=LABEL=x rw ostree=/ostree/boot.1/os/0123abcd/0' >/run/given/cmdline; mount --bind /run/given/cmdline /proc/cmdline
mount -t tmpfs var /var
library=/host/usr/lib/x86_64-linux-gnu
of_host() { $library/ld-linux-x86-64.so.2 --library-path $library "$@"; }
units() { rm -rf /run/units; for n in $(seq $1); do mkdir -p /run/units/$n; done; }
generator() { program=$1; shift; units 1; "$@" $program /run/units/1 /run/units/1 /run/units/1; }
remount() { program=$1; shift; "$@" $program; }
count() { of_host /host/usr/bin/strace -f -qq -o /run/trace "$@"; echo "$name calls $(grep -vc ' resumed>' /run/trace)"; }
peak() { of_host "/host$xtask" "$command" /run/measured "$@"; echo "$name peak $(cut -d ' ' -f 1 /run/measured)"; }
figures() {
    name=$1; kind=$2; program=$3
    $kind $program count; $kind $program peak
}
rounds() {
    name=$1; kind=$2; program=$3
    # Of this shell, and not of a child of it.
    units $runs; times >/run/before; n=0
    while [ $n -lt $runs ]; do
        n=$((n + 1))
        if [ $kind = generator ]; then $program /run/units/$n /run/units/$n /run/units/$n; else $program; fi
    done
    times >/run/after; echo "$name cpu $(tail -n 1 /run/before) $(tail -n 1 /run/after)"
}
"#;

/// Runs in one round, and rounds, each of which has every program.
const RUNS: u32 = 20;
const ROUNDS: u32 = 10;

/// Both programs beside those of one guest.
pub(crate) fn figures(guest: Guest, binary: &Path) -> Result<Section> {
    let rootfs = Rootfs::of(guest, &Cache::open()?)?;
    let directory = binary.parent().context("the binary has no directory")?;
    let name = binary.file_name().context("the binary has no name")?.to_string_lossy().into_owned();
    let links = ["ostree-system-generator", "ostree-remount"]
        .map(|link| format!("ln -s ../binary/{name} \"$root/run/ours/{link}\"\n"))
        .concat();
    let xtask = std::env::current_exe().context("the path of this program")?;
    let programs = [
        ("generator-theirs", "generator", "/usr/lib/systemd/system-generators/ostree-system-generator"),
        ("generator-ours", "generator", "/run/ours/ostree-system-generator"),
        ("remount-theirs", "remount", "/usr/lib/ostree/ostree-remount"),
        ("remount-ours", "remount", "/run/ours/ostree-remount"),
    ];
    let each = |what: &str| programs.map(|(name, kind, path)| format!("{what} {name} {kind} {path}\n")).concat();
    let script = format!(
        "xtask={}; command={MEASURE}; runs={RUNS}\n{MACHINE}\n{}for round in $(seq {ROUNDS}); do\n{}done",
        xtask.display(),
        each("figures"),
        each("rounds")
    );
    let output = Namespace::of(&rootfs.path())
        .bound(directory, "/run/binary")
        .bound(Path::new("/"), "/host")
        .prepared_by(&format!("mkdir -p \"$root/run/ours\"\n{links}"))
        .run(&script)?;
    let figures = read(&output)?;
    let of = |name: &str, what: &str| figures.get(&format!("{name} {what}")).copied().context("a figure is missing");
    let mut comparisons = Vec::new();
    // Goals: 60 and 50 calls, 1.6 MB, beside libostree 2026.4.
    for (name, calls, peak, cpu) in [("generator", 0.1, 0.14, 0.15), ("remount", 0.3, 0.35, 0.5)] {
        for (what, shown, unit, goal) in [
            ("cpu", "CPU time, mean of 200", Unit::Seconds, Goal::Reported(cpu)),
            ("peak", "peak memory", Unit::Bytes, Goal::Binding(peak)),
            ("calls", "system calls", Unit::Count, Goal::Binding(calls)),
        ] {
            let (ours, peer) = (of(&format!("{name}-ours"), what)?, of(&format!("{name}-theirs"), what)?);
            comparisons.push(Comparison { what: format!("{name}: {shown}"), unit, ours, peer, goal });
        }
    }
    Ok(Section { title: format!("boot path of the real root, beside Debian {guest}'s"), comparisons })
}

/// The lines of the script: a name, what, and a number, or the times before and after.
fn read(output: &str) -> Result<BTreeMap<String, f64>> {
    let mut figures = BTreeMap::new();
    for line in output.lines().filter(|line| !line.starts_with("Remounted")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, value) = match words.as_slice() {
            [name, "cpu", user, system, later_user, later_system] => {
                let seconds = seconds(later_user)? + seconds(later_system)? - seconds(user)? - seconds(system)?;
                (format!("{name} cpu"), seconds / f64::from(RUNS * ROUNDS))
            }
            [name, what, number] => (format!("{name} {what}"), number.parse().with_context(|| line.to_owned())?),
            _ => anyhow::bail!("an unknown line: {line}"),
        };
        *figures.entry(name).or_insert(0.0) += value;
    }
    Ok(figures)
}

/// As the shell prints times: `0m0.120000s`.
fn seconds(text: &str) -> Result<f64> {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').with_context(|| text.to_owned())?;
    Ok(minutes.parse::<f64>()? * 60.0 + seconds.parse::<f64>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_added_up() {
        let figures =
            read("a calls 45\na cpu 0m1.0s 0m0.5s 1m2.0s 0m1.5s\na cpu 1m2.0s 0m1.5s 1m3.0s 0m1.5s\n").unwrap();
        assert_eq!(figures["a calls"], 45.0);
        assert!((figures["a cpu"] - 63.0 / 200.0).abs() < 1e-9);
    }
}
