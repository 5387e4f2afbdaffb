//! Our drop-ins for libostree's units, beside those of others: as systemd itself reads them.

use anyhow::{Result, ensure};
use namespace_tests::finalize::Machine;
use qemu_tests::guest::Guest;

use super::ours::{ours, separate_boot};

/// A unit, the key by which others add a command, and our drop-in.
const UNITS: [(&str, &str, &str); 3] = [
    (
        "ostree-finalize-staged.service",
        "ExecStop",
        include_str!("../../../units/ostree-finalize-staged.service.d/00-firstroot.conf"),
    ),
    (
        "ostree-finalize-staged-hold.service",
        // It may have one ExecStart= only.
        "ExecStartPost",
        include_str!("../../../units/ostree-finalize-staged-hold.service.d/00-firstroot.conf"),
    ),
    (
        "ostree-boot-complete.service",
        "ExecStart",
        include_str!("../../../units/ostree-boot-complete.service.d/00-firstroot.conf"),
    ),
];

/// What systemd finds fault with: every command that a unit runs, if it is below `/nowhere`.
fn commands(machine: &Machine, ours_is: &str) -> Result<String> {
    let mut script = "mkdir -p /run/layer/lib/systemd/system /run/systemd/system\n".to_owned();
    let mut verify = String::new();
    for (unit, key, drop_in) in UNITS {
        let drop_in = drop_in.replace("/usr/lib/firstroot/ostree-finalize-staged", "/nowhere/ours");
        let directories =
            ["/run/layer/lib", "/run", "/etc"].map(|layer| format!("{layer}/systemd/system/{unit}.d")).join(" ");
        script.push_str(&format!(
            "sed 's,/usr/bin/ostree,/nowhere/libostree,' /usr/lib/systemd/system/{unit} >/run/systemd/system/{unit}\n\
             mkdir -p {directories}\n\
             set -- {directories}\n\
             cat >$1/{ours_is} <<'end'\n{drop_in}end\n"
        ));
        for (directory, name) in [(1, "05-vendor"), (2, "10-armada-bootimg"), (3, "zz-administrator")] {
            script.push_str(&format!("printf '[Service]\\n{key}=/nowhere/{name}\\n' >${directory}/{name}.conf\n"));
        }
        verify.push_str(&format!("echo '{unit}:'; systemd-analyze verify --man=no {unit} 2>&1 || :\n"));
    }
    script.push_str("mount -t overlay -o ro,lowerdir=/run/layer:/usr usr /usr\n");
    machine.check(&(script + &verify))
}

fn of_unit<'a>(said: &'a str, unit: &str) -> &'a str {
    let (_, after) = said.split_once(&format!("{unit}:\n")).unwrap_or_default();
    after.split(".service:\n").next().unwrap_or_default()
}

pub(crate) fn commands_of_others_stay(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    let said = commands(&machine, "00-firstroot.conf")?;
    for (unit, _, _) in UNITS {
        let of_unit = of_unit(&said, unit);
        for command in ["ours", "05-vendor", "10-armada-bootimg", "zz-administrator"] {
            ensure!(of_unit.contains(&format!("/nowhere/{command} is not exec")), "{unit}: {command}: {said}");
        }
        ensure!(!of_unit.contains("/nowhere/libostree"), "{unit}: {said}");
    }
    // The check can fail: under the name that ours had, others' commands are gone.
    let said = commands(&machine.another()?, "10-firstroot.conf")?;
    let said = of_unit(&said, "ostree-finalize-staged.service");
    ensure!(!said.contains("05-vendor") && !said.contains("10-armada") && said.contains("zz-administrator"), "{said}");
    Ok(())
}

pub(crate) fn preparing_tells_of_a_drop_in_that_resets_another(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    let put = |unit: &str, name: &str, text: &str| {
        let directory = format!("/run/systemd/system/{unit}.d");
        format!("mkdir -p {directory}; cat >{directory}/{name} <<'end'\n{text}end\n")
    };
    let installed: String = UNITS.map(|(unit, _, drop_in)| put(unit, "00-firstroot.conf", drop_in)).concat();
    let prepare = "/usr/lib/firstroot/ostree-finalize-staged --prepare 2>&1";
    let said = machine.check(&format!("{installed}{prepare}"))?;
    ensure!(!said.contains("resets") && !said.contains("drop-in"), "{said}");
    let unit = "ostree-finalize-staged.service";
    let added = put(unit, "00-aaa.conf", "[Service]\nExecStop=/usr/libexec/armada/bootimg\n");
    let reset = put(unit, "50-other.conf", "[Service]\nExecStop=\nExecStop=/usr/bin/other\n");
    let said = machine.check(&format!("{installed}{added}{reset}{prepare}"))?;
    for words in [
        "ostree-finalize-staged.service.d/50-other.conf resets ExecStop= after \
         /run/systemd/system/ostree-finalize-staged.service.d/00-firstroot.conf",
        "does not run \"/usr/libexec/armada/bootimg\" of /run/systemd/system/ostree-finalize-staged.service.d/00-aaa.conf",
        "is prepared: shutdown will merge /etc",
    ] {
        ensure!(said.contains(words), "no {words:?} in {said}");
    }
    let said = ours(&machine, &["--prepare"])?;
    ensure!(said.contains("no drop-in makes ostree-boot-complete.service run ostree-finalize-staged"), "{said}");
    Ok(())
}
