//! A deployment that a person chooses, by a number, a version or the first digits of its checksum.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::{Initramfs, Outcome};
use qemu_tests::signer::Signer;
use sha2::{Digest, Sha256};

use crate::bad_input::refused;
use crate::composefs::BRANCH;
use crate::recovery::links_out_of_step;
use crate::signed::{KEYS, SIGNED};

const RECORD: &str = "/run/ostree/chosen-deployment";

/// Written by `ostree commit --add-metadata-string=version=42.1`, on the first of January 2025.
const COMMIT: &str = concat!(
    "76657273696f6e0034322e31000073081000000000000000000000006774858007544917e5732c982368aee16ad286039414",
    "36cd016870781dcf297c7dd88504446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488401312111111",
);

/// The content of that commit, with another version of as many characters.
fn commit(version: &str) -> Vec<u8> {
    let hexadecimal = |at: usize| COMMIT.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let mut bytes: Vec<u8> = (0..COMMIT.len()).step_by(2).filter_map(hexadecimal).collect();
    bytes.iter_mut().skip("version\0".len()).zip(version.bytes()).for_each(|(byte, new)| *byte = new);
    bytes
}

/// Deploys a commit of that version, and returns its checksum and its deployment.
fn deploy(initramfs: &Initramfs, version: &str, serial: u32) -> Result<(String, String)> {
    let bytes = commit(version);
    let checksum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let (directory, name) = checksum.split_at_checked(2).context("a checksum")?;
    initramfs.disk.file(&format!("ostree/repo/objects/{directory}/{name}.commit"), bytes)?;
    let deployment = initramfs.disk.deploy_in("os", &checksum, serial)?;
    Ok((checksum, deployment))
}

fn is_root(initramfs: &Initramfs, deployment: &str, outcome: &Outcome) -> Result<()> {
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let table = initramfs.mounts()?;
    ensure!(table.contains(&format!("/sysroot tmpfs of /{deployment} ")), "{table}");
    Ok(())
}

/// By the option, and by the kernel argument: what is typed at the boot menu.
fn both_ways(initramfs: &Initramfs, word: &str, deployment: &str) -> Result<()> {
    let argument = initramfs.disk.argument();
    let at_boot_menu = format!("{argument} firstroot.deployment=none quiet firstroot.deployment={word}");
    for arguments in [&["--deployment", word, "/sysroot", &argument][..], &["/sysroot", &at_boot_menu]] {
        let outcome = initramfs.run(arguments)?;
        is_root(initramfs, deployment, &outcome).with_context(|| word.to_owned())?;
        let is_told = outcome.stderr.contains(&format!("booting /{deployment}, because of "));
        ensure!(is_told == (deployment != initramfs.disk.deployment), "{outcome:?}");
        initramfs.start_over()?;
    }
    Ok(())
}

pub(crate) fn each_short_form_boots_the_deployment(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    // Those with a commit come first, and then those of which nothing is known, by their names.
    let (checksum, versioned) = deploy(initramfs, "42.1", 0)?;
    let other = initramfs.disk.deploy('b', 7)?;
    let first = initramfs.disk.deployment.clone();
    let digits = checksum.get(..4).context("a checksum")?;
    let whole = format!("{checksum}.0");
    for (word, deployment) in [
        ("0", &versioned),
        ("42.1", &versioned),
        (digits, &versioned),
        (&whole, &versioned),
        ("2", &first),
        ("aaaa", &first),
        ("1", &other),
        ("bbbbbb.7", &other),
    ] {
        both_ways(initramfs, word, deployment)?;
    }
    Ok(())
}

/// `ostree admin status` shows them in the order of the menu.
pub(crate) fn entries_decide_the_numbers(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (_, versioned) = deploy(initramfs, "42.1", 0)?;
    let second = initramfs.disk.deploy('b', 0)?;
    let disk = &initramfs.disk;
    disk.boot_link("boot.1.1", &disk.bootcsum, 1, &second)?;
    for (name, version, serial) in [("ostree-1.conf", 9, 0), ("ostree-2.conf", 10, 1)] {
        let link = format!("/ostree/boot.1/os/{}/{serial}", disk.bootcsum);
        let entry = format!("title x\nversion {version}\noptions rw ostree={link}\n");
        disk.file(&format!("boot/loader.1/entries/{name}"), entry)?;
    }
    // Files of others, and damage.
    disk.file("boot/loader.1/entries/other.conf", "options ostree=/ostree/boot.1/os/x/0\n")?;
    disk.file("boot/loader.1/entries/ostree-3.conf", b"\xff")?;
    disk.link("boot/loader.1/entries/ostree-4.conf", "gone")?;
    both_ways(initramfs, "0", &second)?;
    both_ways(initramfs, "1", &initramfs.disk.deployment)?;
    both_ways(initramfs, "2", &versioned)
}

pub(crate) fn what_several_have_is_refused(initramfs: &mut Initramfs) -> Result<()> {
    let (checksum, _) = deploy(initramfs, "42.1", 0)?;
    deploy(initramfs, "42.1", 1)?;
    let argument = initramfs.disk.argument();
    for word in ["42.1", checksum.get(..6).context("a checksum")?] {
        let words = [&format!("--deployment {word}: several deployments have that number, version or checksum: ")[..]];
        let outcome = refused(initramfs, &["--deployment", word, "/sysroot", &argument], &words)?;
        let first = outcome.report.as_deref().and_then(|report| report.lines().next()).unwrap_or_default();
        ensure!(first.matches(", version 42.1)").count() == 2, "{first}");
    }
    Ok(())
}

pub(crate) fn what_none_has_is_refused_with_a_list(initramfs: &mut Initramfs) -> Result<()> {
    let (checksum, _) = deploy(initramfs, "42.1", 0)?;
    let digits = checksum.get(..4).context("a checksum")?;
    for word in ["5", "42", "42.2", "cccc", "aaa", ""] {
        let argument = format!("{} firstroot.deployment={word}", initramfs.disk.argument());
        let told = format!(
            "firstroot.deployment={word}: no deployment has that number, version or checksum; \
             there are: 0 ({digits}.0, version 42.1), 1 (aaaa.0)"
        );
        let outcome = refused(initramfs, &["/sysroot", &argument], &[&told, "deployments:  0 "])?;
        ensure!(outcome.stderr.contains("2025-01-01 42.1"), "{}", outcome.stderr);
        // A plan says it, too.
        let plan = initramfs.run(["--plan", "/sysroot", &argument])?;
        ensure!(plan.code == Some(1) && plan.stderr.contains(&told), "{plan:?}");
    }
    Ok(())
}

pub(crate) fn another_stateroot_is_refused(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let checksum = "b".repeat(64);
    let other = initramfs.disk.deploy_in("other", &checksum, 0)?;
    initramfs.disk.directory("ostree/deploy/other/var")?;
    let argument = initramfs.disk.argument();
    let told = "that deployment is in the stateroot other, and ostree= names the stateroot os";
    for word in ["0", "bbbb", &format!("{checksum}.0")] {
        refused(initramfs, &["--deployment", word, "/sysroot", &argument], &[told])?;
    }
    // The link need not exist; the stateroot decides.
    let gone = argument.replace("boot.1/os/", "boot.0/other/");
    let outcome = initramfs.run(["--deployment", "0", "/sysroot", &gone])?;
    is_root(initramfs, &other, &outcome)?;
    initramfs.start_over()?;
    // Without a stateroot of this disk none is guessed.
    for unknown in ["quiet", &argument.replace("/os/", "/gone/")] {
        let told = "ostree= names no stateroot of this disk, which has several";
        refused(initramfs, &["--deployment", "1", "/sysroot", unknown], &[told])?;
    }
    Ok(())
}

/// Of two commits none is guessed; a person knows which one, and types what the report says.
pub(crate) fn no_boot_link_is_needed(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    links_out_of_step(initramfs)?;
    let (_, versioned) = deploy(initramfs, "42.1", 0)?;
    let argument = initramfs.disk.argument();
    let outcome = refused(initramfs, &["/sysroot", &argument], &["several deployments have this kernel"])?;
    let typed = "/usr/lib/ostree/ostree-prepare-root --deployment 0 /sysroot";
    ensure!(outcome.stderr.contains(&format!("                  {typed}\n")), "{}", outcome.stderr);
    let outcome = initramfs.run(["--deployment", "0", "/sysroot", &argument])?;
    is_root(initramfs, &versioned, &outcome)?;
    let link = format!("{argument} leads to no deployment, and the next boot without that choice uses it");
    ensure!(outcome.stderr.contains(&link), "{outcome:?}");
    ensure!(!Path::new("/run/ostree/recovered-boot").exists(), "nothing was recovered");
    initramfs.start_over()?;
    // On a command line without ostree=, the only stateroot is meant; libostree's generator mounts no /var then.
    // Nor does it find /var of a stateroot that is not on the disk; its unit would fail.
    let stale = format!("{} firstroot.deployment=42.1", argument.replace("/os/", "/gone/"));
    for line in ["firstroot.deployment=42.1", &stale] {
        let outcome = initramfs.run(["--systemd=yes", "/sysroot", line])?;
        is_root(initramfs, &versioned, &outcome)?;
        let table = initramfs.mounts()?;
        ensure!(table.contains("/sysroot/var tmpfs of /ostree/deploy/os/var "), "{line}\n{table}");
        initramfs.start_over()?;
    }
    Ok(())
}

/// An entry on an ESP names a deployment that was removed before somebody could write the entry anew.
pub(crate) fn one_that_is_gone_leads_to_the_first_with_the_same_kernel(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (_, versioned) = deploy(initramfs, "42.1", 0)?;
    let argument = initramfs.disk.argument();
    let gone = format!("{argument} firstroot.deployment={}.0", "c".repeat(64));
    // Another kernel runs: its modules are in none of the trees.
    refused(initramfs, &["/sysroot", &gone], &["no deployment has that number, version or checksum"])?;
    let kernel = nix::sys::utsname::uname()?;
    let kernel = kernel.release().to_str().context("the kernel's release")?;
    initramfs.disk.directory(&format!("{versioned}/usr/lib/modules/{kernel}"))?;
    for _ in 0..2 {
        let outcome = initramfs.run(["/sysroot", &gone])?;
        is_root(initramfs, &versioned, &outcome)?;
    }
    initramfs.start_over()?;
    let outcome = initramfs.run(["/sysroot", &gone])?;
    let told = format!("does not exist any more: booting /{versioned}, which has the same kernel");
    ensure!(outcome.stderr.contains(&told), "{outcome:?}");
    initramfs.start_over()?;
    // A person gets an error.
    refused(
        initramfs,
        &["--deployment", &format!("{}.0", "c".repeat(64)), "/sysroot", &argument],
        &["no deployment has"],
    )?;
    // A whole name needs no list, and so no commit that can be read.
    let whole = format!("{argument} firstroot.deployment={}", versioned.rsplit('/').next().unwrap_or_default());
    let outcome = initramfs.run(["/sysroot", &whole])?;
    is_root(initramfs, &versioned, &outcome)
}

pub(crate) fn another_deployment_is_no_success_of_a_second_run(initramfs: &mut Initramfs) -> Result<()> {
    let other = initramfs.disk.deploy('b', 0)?;
    let argument = initramfs.disk.argument();
    let outcome = initramfs.run(["--deployment", "bbbb", "/sysroot", &argument])?;
    is_root(initramfs, &other, &outcome)?;
    let again = initramfs.run(["--deployment", "bbbb", "/sysroot", &argument])?;
    ensure!(again.code == Some(0) && again.stderr.contains("is already prepared for /"), "{again:?}");
    let another = initramfs.run(["--deployment", "aaaa", "/sysroot", &argument])?;
    ensure!(another.code == Some(1) && another.told().contains("is already prepared for /"), "{another:?}");
    Ok(())
}

/// What `systemctl default` starts after the command in the report: the unit, with the arguments that have failed before.
pub(crate) fn a_unit_accepts_what_a_person_has_prepared(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let other = initramfs.disk.deploy('b', 0)?;
    let argument = initramfs.disk.argument();
    let record = Path::new(RECORD);
    let mistyped = format!("{argument} firstroot.deployment=8742");
    for line in [&argument, &mistyped, "quiet"] {
        let outcome = initramfs.run(["--deployment", "bbbb", "/sysroot", line])?;
        is_root(initramfs, &other, &outcome)?;
        ensure!(initramfs.read(RECORD)? == format!("/{other}\n"), "{:?}", initramfs.read(RECORD));
        let unit = initramfs.run(["/sysroot", line])?;
        ensure!(unit.code == Some(0) && unit.stderr.contains("is already prepared for /"), "{unit:?}");
        // Only a root that is prepared for it.
        initramfs.write(RECORD, format!("/{}\n", initramfs.disk.deployment))?;
        if line != "quiet" {
            let unit = initramfs.run(["/sysroot", line])?;
            ensure!(unit.code == Some(1), "{unit:?}");
        }
        initramfs.start_over()?;
    }
    // No other run leaves a record.
    let outcome = initramfs.run(["/sysroot", &format!("{argument} firstroot.deployment=bbbb")])?;
    is_root(initramfs, &other, &outcome)?;
    ensure!(!record.exists(), "{:?}", initramfs.read(RECORD));
    let another = initramfs.run(["/sysroot", &argument])?;
    ensure!(another.code == Some(1) && another.told().contains("is already prepared for /"), "{another:?}");
    Ok(())
}

/// The order and the versions are uncertain then; a name is not.
pub(crate) fn a_whole_name_is_enough_on_a_disk_that_fails(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (checksum, versioned) = deploy(initramfs, "42.1", 0)?;
    let argument = initramfs.disk.argument();
    let trace = ["-o", "/trace", "-e", "trace=openat2"];
    let outcome = initramfs.strace(&trace, ["--deployment", "0", "/sysroot", &argument])?;
    is_root(initramfs, &versioned, &outcome)?;
    initramfs.start_over()?;
    let trace = initramfs.read("/trace")?;
    for (name, fail) in [(".commit", &["0", "42.1"][..]), ("boot/loader/entries", &["0", "42.1"])] {
        let number = trace.lines().position(|line| line.contains(name)).context("it is not opened")? + 1;
        let inject = format!("inject=openat2:error=EIO:when={number}");
        let options = ["-o", "/dev/null", "-e", &inject];
        for word in fail {
            let outcome = initramfs.strace(&options, ["--deployment", word, "/sysroot", &argument])?;
            let told = "cannot be read: Input/output error";
            ensure!(outcome.code == Some(1) && outcome.told().contains(told), "{outcome:?}");
        }
        let digits = checksum.get(..5).context("a checksum")?;
        let outcome = initramfs.strace(&options, ["--deployment", digits, "/sysroot", &argument])?;
        is_root(initramfs, &versioned, &outcome)?;
        initramfs.start_over()?;
    }
    // Nothing of a list is read for a whole name, which entries on an ESP have.
    let trace = ["-o", "/trace", "-e", "trace=openat2"];
    let outcome = initramfs.strace(&trace, ["--deployment", &format!("{checksum}.0"), "/sysroot", &argument])?;
    is_root(initramfs, &versioned, &outcome)?;
    initramfs.start_over()?;
    let trace = initramfs.read("/trace")?;
    for name in [".commit", "boot/loader/entries"] {
        ensure!(!trace.contains(name), "{name} is opened:\n{trace}");
    }
    Ok(())
}

pub(crate) fn a_plan_is_that_of_the_choice(initramfs: &mut Initramfs) -> Result<()> {
    let (_, versioned) = deploy(initramfs, "42.1", 0)?;
    let argument = initramfs.disk.argument();
    let plan = initramfs.run(["--plan", "--deployment", "42.1", "/sysroot", &argument])?;
    let first = format!("asked for: /{versioned} (option --deployment 42.1)\n");
    ensure!(plan.code == Some(0) && plan.stdout.starts_with(&first), "{plan:?}");
    let argument = format!("{argument} firstroot.deployment=42.1");
    let plan = initramfs.run(["--plan", "--json", "/sysroot", &argument])?;
    let json: serde_json::Value = serde_json::from_str(&plan.stdout)?;
    json_schemas::require("prepare-root-plan", &json)?;
    let asked_for = json.get("asked-for").context("asked-for")?;
    let expected = serde_json::json!({
        "path": format!("/{versioned}"), "asked": "deployment", "argument": "firstroot.deployment=42.1"
    });
    assert_eq!(*asked_for, expected);
    Ok(())
}

pub(crate) fn verify_takes_the_same_words(initramfs: &mut Initramfs) -> Result<()> {
    let (checksum, versioned) = deploy(initramfs, "42.1", 0)?;
    let other = initramfs.disk.deploy_in("other", &"b".repeat(64), 0)?;
    let words = [
        ("0", &versioned),
        ("42.1", &versioned),
        (checksum.get(..4).context("a checksum")?, &versioned),
        ("bbbb", &other),
    ];
    for (word, deployment) in words {
        let outcome = initramfs.run(["--verify", "/sysroot", word])?;
        ensure!(outcome.stdout.starts_with(&format!("/{deployment}: ")), "{outcome:?}");
    }
    let outcome = initramfs.run(["--verify", "/sysroot", "none"])?;
    let told = "none: no deployment has that number, version or checksum; there are: 0 (";
    ensure!(outcome.code == Some(3) && outcome.stderr.contains(told), "{outcome:?}");
    Ok(())
}

/// What a person chooses is verified like what the boot loader chooses.
pub(crate) fn a_signature_is_demanded_of_what_is_chosen(initramfs: &mut Initramfs) -> Result<()> {
    let signer = Signer::number(1);
    initramfs.configure(SIGNED)?;
    initramfs.write(KEYS, signer.key_file())?;
    let argument = initramfs.disk.argument();
    let digits = initramfs.disk.deployment.rsplit('/').next().and_then(|name| name.get(..5)).context("a name")?;
    let choices = [format!("{argument} firstroot.deployment=0"), format!("{argument} firstroot.deployment={digits}")];
    for choice in &choices {
        refused(initramfs, &["/sysroot", choice], &["cannot be verified: ", "is not signed: there is no"])?;
    }
    signer.sign(Path::new("/sysroot"), BRANCH)?;
    for choice in &choices {
        // As far as a boot can get on a kernel without fs-verity: the signature is right.
        refused(initramfs, &["/sysroot", choice], &["this kernel or the filesystem has no fs-verity"])?;
    }
    Ok(())
}
