//! What other programs wrote into the staged deployment's `etc` is merged, and is not lost by a run that does not come to its end.

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Contestant, Machine, compare, show};
use qemu_tests::guest::Guest;

use crate::restart::{EDITS, state, story};

/// What OpenShift's machine-config-operator does between staging and shutdown.
const OPERATOR: &str = "cd $(for d in /sysroot/ostree/deploy/os/deploy/*.0; do \
        test $(stat -c %i $d) = $(stat -c %i /) || echo $d; done)/etc
    for n in 1 2 3; do echo operator >conf.d/0000$n.conf; done; rm conf.d/00005.conf
    echo operator >operator-new; mkdir -p operator.d new; echo operator >operator.d/file; echo operator >new/operator
    echo operator >empty.d/file; chmod 711 empty.d; ln -sf /operator localtime; touch .updated";
/// What has to be there of it in the end: where the machine changed a file, the machine wins.
const MERGED: &str = "cd /etc; for f in conf.d/00003.conf operator-new operator.d/file new/operator empty.d/file; do \
        grep -qx operator $f; done
    test ! -e conf.d/00005.conf; test ! -e conf.d/00001.conf; grep -qx mine conf.d/00002.conf; test ! -e .updated
    test \"$(readlink localtime)\" = /operator; test $(stat -c %a empty.d) = 700; grep -qx mine new/inner/file";

/// A machine that is finalized without disturbance, and another one in the same state.
fn machines(guest: Guest) -> Result<(Machine, Machine)> {
    let machine = story("restart").staged(guest)?.copy()?;
    machine.check(EDITS)?;
    machine.check(OPERATOR)?;
    let undisturbed = machine.another()?;
    undisturbed.finalize(Contestant::Ours)?.outcome.success()?;
    Ok((machine, undisturbed))
}

fn inject(what: &str) -> [&str; 4] {
    ["-e", what, "-o", "/dev/null"]
}

pub(crate) fn edits_of_the_staged_etc_survive_a_run_that_was_interrupted_or_failed(guest: Guest) -> Result<()> {
    let (machine, undisturbed) = machines(guest)?;
    let wanted = state(&undisturbed)?;
    let killed_first = "inject=syncfs:signal=KILL:when=1";
    for (first, again) in [
        (killed_first, None),
        ("inject=renameat2:error=ENOSPC:when=1", None),
        // The second one is killed while it puts back what the first one changed, and when it merges anew.
        (killed_first, Some("inject=unlinkat:signal=KILL:when=4")),
        (killed_first, Some("inject=linkat:signal=KILL:when=2")),
        (killed_first, Some("inject=renameat:signal=KILL:when=1")),
        (killed_first, Some(killed_first)),
    ] {
        let machine = machine.another()?;
        for run in [Some(first), again].into_iter().flatten() {
            let outcome = machine.strace(Contestant::Ours, &inject(run))?.outcome;
            ensure!(outcome.code != Some(0), "{run}: {outcome:?}");
        }
        let last = machine.finalize(Contestant::Ours)?;
        ensure!(last.outcome.code == Some(0), "{first}, {again:?}: {:?}", last.outcome);
        let found = compare(&state(&machine)?, &wanted);
        ensure!(found.is_empty(), "{first}, {again:?}: ours: run again, peer: undisturbed\n{}", show(&found));
        machine.check("! ls /sysroot/ostree/repo/tmp | grep firstroot")?;
    }
    undisturbed.boot_default()?;
    undisturbed.check(MERGED)?;
    Ok(())
}

/// What an earlier run knew about one deployment says nothing about the next one that is staged.
pub(crate) fn edits_of_another_staged_etc_are_not_reset(guest: Guest) -> Result<()> {
    let machine = story("restart").staged(guest)?.copy()?;
    let failed = machine.strace(Contestant::Ours, &inject("inject=renameat2:error=ENOSPC:when=1"))?;
    ensure!(failed.outcome.code == Some(1), "{:?}", failed.outcome);
    // The same commit again, in a directory of the same name, and with edits of its own.
    machine.check(&format!("ostree admin undeploy 0; ostree admin deploy --stage os/next; {OPERATOR}"))?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    machine.boot_default()?;
    machine.check("test $(cat /etc/operator-new) = operator; ostree admin status | grep -q 'Version: 2'")?;
    Ok(())
}
