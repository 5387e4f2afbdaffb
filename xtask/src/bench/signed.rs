//! What a demanded signature adds, and `--verify` of sealed objects beside reading them: in a whole machine, since this kernel may have no
//! fs-verity.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::sealing::{KEYS, SIGNED, seal, signed_by};
use qemu_tests::signer::Signer;

use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

/// Runs of each mode, in turn.
const RUNS: usize = 41;
/// Of what takes seconds.
const LONG_RUNS: usize = 3;

/// Prepares the physical root once more where nobody sees it, as in an initramfs: with a `/run` of its own.
const MEASURE: &str = r"
    set -e
    export link=$(tr ' ' '\n' </proc/cmdline | grep ^ostree=)
    mkdir -p /etc/ostree
    for run in $(seq $runs); do
        for mode in verity signed; do
            printf '[composefs]\nenabled=%s\n' $mode >/etc/ostree/prepare-root.conf
            unshare --mount bash -c '
                mount -t tmpfs run /run && mount --bind /sysroot /mnt
                begin=${EPOCHREALTIME/./}
                /usr/lib/ostree/ostree-prepare-root --systemd=yes /mnt $link || exit
                echo $0 $((${EPOCHREALTIME/./} - begin))' $mode
        done
    done
    deployment=${link#ostree=}
    fresh() { sync; echo 3 >/proc/sys/vm/drop_caches; begin=$(date +%s%6N); }
    for run in $(seq $long_runs); do
        fresh; find /sysroot/ostree/repo/objects -name '*.file' -type f -exec cat {} + >/dev/null
        echo reading $(($(date +%s%6N) - begin))
        fresh; /usr/lib/ostree/ostree-prepare-root --verify / $deployment >/run/verdict; cat /run/verdict
        echo verifying $(($(date +%s%6N) - begin))
    done
";

/// Figures of our program alone: Debian's is built without Ed25519.
pub(crate) fn figures(guest: Guest) -> Result<Section> {
    let key = format!("mkdir -p /etc/ostree; echo '{}' >/{KEYS}", Signer::number(1).key_file().trim_end());
    let measure = format!("{key}\nruns={RUNS}\nlong_runs={LONG_RUNS}\n{MEASURE}");
    let reports = signed_by(1, guest)?.run_scripts(&[&seal(SIGNED, ""), &measure])?;
    let [sealed, measured] = reports.as_slice() else { anyhow::bail!("two boots") };
    ensure!(sealed.script_status()? == 0, "sealing: {}", sealed.script_output()?);
    let output = measured.script_output()?;
    ensure!(measured.script_status()? == 0, "{output}");
    let beside =
        |what: &str, ours, peer, goal| Comparison { what: what.to_owned(), unit: Unit::Seconds, ours, peer, goal };
    let prepared = beside(
        "signed, beside firstroot with verity",
        time(&output, "signed", RUNS)?,
        time(&output, "verity", RUNS)?,
        Goal::Note(String::new()),
    );
    let verified = beside(
        "--verify, beside reading all objects",
        time(&output, "verifying", LONG_RUNS)?,
        time(&output, "reading", LONG_RUNS)?,
        Goal::Reported(1.3),
    );
    Ok(Section { title: format!("sealed and signed, {guest}"), comparisons: vec![prepared, verified] })
}

fn time(output: &str, what: &str, runs: usize) -> Result<f64> {
    let times = output.lines().filter_map(|line| line.strip_prefix(what)?.trim().parse().ok());
    let times: Vec<Duration> = times.map(Duration::from_micros).collect();
    ensure!(times.len() == runs, "{} runs of {what}: {output}", times.len());
    median(times).with_context(|| what.to_owned())
}
