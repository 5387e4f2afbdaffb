//! `firstroot status` and `check` of a system with two deployments, warm: a person waits for them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use qemu_tests::guest::Guest;

use super::table::{Comparison, Goal, Section, Unit};

const RUNS: usize = 7;
/// What they may take, in seconds.
const LIMITS: [(&str, f64); 2] = [("status", 0.05), ("check", 1.5)];

/// An initramfs of 100 MB, 45 MB of it compressed, with the program and its configuration in it.
const INITRAMFS: &str = r#"
initramfs() {
    perl -e 'sub f { my ($n, $m, $c) = @_;
            my $h = sprintf("070701" . "%08x" x 13, 0, $m, 0, 0, 1, 0, length($c), 0, 0, 0, 0, length($n) + 1, 0) . "$n\0";
            $h .= "\0" x (-length($h) % 4); print $h, $c, "\0" x (-length($c) % 4) }
        srand $ARGV[0];
        for my $number (1 .. 2000) {
            my $random = pack "L*", map { int rand 4294967296 } 1 .. 5600;
            f("usr/lib/$number", 0100644, $random . ("text $number " x 2700));
        }
        f("usr/lib/ostree/ostree-prepare-root", 0100755, "program");
        f("usr/lib/ostree/prepare-root.conf", 0100644, "[sysroot]\nreadonly=true\n"); f("TRAILER!!!", 0, "")' \
        "$1" | gzip -1 >"$(echo usr/lib/modules/*/initramfs.img)"
    printf '#!/bin/sh\n' >usr/sbin/init; chmod 755 usr/sbin/init
}
"#;

/// Figures of our program, beside what it may take: the peer has nothing that does this.
pub(crate) fn figures(command: &Path) -> Result<Section> {
    let tree =
        |number: u32| format!("{INITRAMFS}\nkernel {number}; initramfs {number}; many_files usr/etc/more.d 1500");
    let story = Story {
        root_size: "900M".to_owned(),
        kernel_bytes: 12_000_000,
        initramfs_bytes: 1_000,
        ..Story::named("bench-command")
    };
    let story = story.first_tree(format!("mkdir usr/etc/more.d; {}", tree(1))).tree("os/two", "2", tree(2));
    let machine = story.stage("os/two").reboot().staged(Guest::Trixie)?.copy()?;
    std::fs::copy(command, machine.directory().join("firstroot")).context("putting the command there")?;
    let mut comparisons = Vec::new();
    for (name, limit) in LIMITS {
        comparisons.push(Comparison {
            what: format!("{name}, beside: the limit"),
            unit: Unit::Seconds,
            ours: seconds(&machine, name)?,
            peer: limit,
            goal: Goal::Reported(1.0),
        });
    }
    Ok(Section { title: "command, two deployments with 57 MB each in /boot".to_owned(), comparisons })
}

/// The median, without the first run.
fn seconds(machine: &Machine, name: &str) -> Result<f64> {
    let printed = machine.check(&format!(
        "for run in $(seq 0 {RUNS}); do
            begin=$(date +%s%N); /run/fixture/machine/firstroot {name} >/dev/null; end=$(date +%s%N); echo $((end - begin))
        done"
    ))?;
    let mut times: Vec<u64> =
        printed.lines().skip(1).map(|line| line.parse().context("a time")).collect::<Result<_>>()?;
    ensure!(times.len() == RUNS, "{printed}");
    times.sort_unstable();
    Ok(times.get(RUNS / 2).copied().unwrap_or_default() as f64 / 1e9)
}
