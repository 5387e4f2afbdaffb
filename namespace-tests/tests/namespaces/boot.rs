//! What boots, and how it is mounted then.

use anyhow::{Result, bail, ensure};
use namespace_tests::{Initramfs, Outcome, listing};

/// It succeeded, and had nothing to say.
pub(crate) fn silent_success(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "{outcome:?}");
    Ok(())
}

/// The lines of the mount table without what every boot has, and with short names.
fn mounts(initramfs: &Initramfs) -> Result<String> {
    let table = initramfs.mounts()?.replace(&initramfs.disk.deployment, "DEPLOYMENT");
    Ok(table.replace("ostree/deploy/os/var", "STATEVAR").replace(",inode64", ""))
}

pub(crate) fn a_plain_deployment_becomes_the_root(initramfs: &mut Initramfs) -> Result<()> {
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    assert_eq!(
        mounts(initramfs)?,
        "/sysroot tmpfs of /DEPLOYMENT rw,relatime []\n\
         /sysroot/boot tmpfs of /boot rw,relatime []\n\
         /sysroot/sysroot tmpfs of / rw,relatime []\n\
         /sysroot/usr tmpfs of /DEPLOYMENT/usr ro,relatime []\n\
         /run tmpfs of / rw,relatime []"
    );
    assert_eq!(initramfs.read("/sysroot/usr/marker")?, "usr");
    assert_eq!(initramfs.read("/sysroot/boot/marker")?, "boot");
    assert_eq!(initramfs.read("/sysroot/sysroot/ostree/repo/config")?, "[core]\nmode=bare\n");
    ensure!(std::fs::write("/sysroot/usr/new", "").is_err(), "/usr is writable");
    Ok(())
}

pub(crate) fn nothing_but_the_new_root_is_left(initramfs: &mut Initramfs) -> Result<()> {
    let before = listing(std::path::Path::new("/etc"))?;
    silent_success(&initramfs.boot()?)?;
    let mut top: Vec<String> =
        std::fs::read_dir("/")?.map(|e| Ok(e?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    top.sort();
    assert_eq!(top, ["dev", "etc", "host", "lib", "lib64", "peer", "proc", "run", "sysroot", "usr"]);
    assert_eq!(listing(std::path::Path::new("/etc"))?, before);
    assert_eq!(
        listing(std::path::Path::new("/run"))?,
        "ostree directory 0755\nostree-booted file of 136 bytes 0644\nostree/.private directory 0000"
    );
    Ok(())
}

pub(crate) fn a_second_run_says_that_it_is_prepared_already(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.boot()?;
    let before = initramfs.mounts()?;
    std::fs::remove_file("/run/ostree-booted")?;
    // Nothing is to be done, so nothing of this counts.
    initramfs.configure("nonsense")?;
    let second = initramfs.boot()?;
    ensure!(second.code == Some(0) && second.told().contains("is already prepared for /"), "{second:?}");
    assert_eq!(initramfs.mounts()?, before);
    Ok(())
}

pub(crate) fn a_run_for_another_deployment_is_no_success(initramfs: &mut Initramfs) -> Result<()> {
    let other = initramfs.disk.deploy('b', 0)?;
    initramfs.disk.boot_link("boot.1.1", &initramfs.disk.bootcsum, 1, &other)?;
    initramfs.boot()?;
    let before = initramfs.mounts()?;
    let argument = format!("{}1", initramfs.disk.argument().trim_end_matches('0'));
    let second = initramfs.run(["/sysroot", &argument])?;
    let told = format!("is already prepared for /{}, but /{other} was requested", initramfs.disk.deployment);
    ensure!(second.code == Some(1) && second.told().contains(&told), "{second:?}");
    assert_eq!(initramfs.mounts()?, before);
    Ok(())
}

/// What `/sysroot` is there is in use.
pub(crate) fn a_system_that_runs_is_left_alone(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.file(&format!("{}/etc/ostree/prepare-root.conf", disk.deployment), "nonsense")?;
    initramfs.boot()?;
    // As after the switch of the root: the deployment is `/`, with the physical root at `/sysroot`.
    let mut script = std::process::Command::new("/host/bin/busybox");
    script.args(["sh", "-c", "cp /usr/lib/ostree/ostree-prepare-root /run/program; cp /host/bin/busybox /run/busybox; \
        for d in proc run; do mount --bind /$d /sysroot/$d; done; cd /sysroot; pivot_root . proc 2>/dev/null || pivot_root . tmp; \
        exec chroot . /run/busybox sh -c '/run/busybox mount -t proc proc /proc; /run/program /sysroot \"$0\"; echo status=$?; \
        /run/busybox grep -c \" /sysroot \" /proc/self/mountinfo' \"$0\"", &initramfs.disk.argument()]);
    script.env("PATH", "/");
    let output = script.output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(
        out == "status=0\n1\n" && err.contains("this system is already booted from /ostree/deploy/os/"),
        "{out}{err}"
    );
    Ok(())
}

pub(crate) fn modes_do_not_depend_on_the_umask(initramfs: &mut Initramfs) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    initramfs.configure("[etc]\ntransient=true\n")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    ensure!(initramfs.boot()?.code == Some(0), "it boots");
    for (path, mode) in [("/run/ostree", 0o755), ("/run/ostree-booted", 0o644), ("/sysroot/etc", 0o755)] {
        let found = std::fs::metadata(path)?.permissions().mode() & 0o7777;
        ensure!(found == mode, "{path}: {found:o}");
    }
    Ok(())
}

/// A script reads this one line of standard output; with systemd nothing is printed.
pub(crate) fn a_script_reads_what_the_target_is(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let argument = initramfs.disk.argument();
    for (systemd, line) in [
        ("--systemd=yes", String::new()),
        ("--systemd=no", format!("Resolved OSTree target to: /sysroot/{}\n", initramfs.disk.deployment)),
    ] {
        // By another name of the same place.
        let outcome = initramfs.run([systemd, "/run/../sysroot/", &argument])?;
        silent_success(&outcome)?;
        assert_eq!(outcome.stdout, line);
        initramfs.start_over()?;
    }
    // Nor does it say so of what does not boot, or to nobody.
    let outcome = initramfs.run(["--systemd=no", "/sysroot", "ostree=/ostree/gone"])?;
    ensure!(outcome.code == Some(1) && outcome.stdout.is_empty(), "{outcome:?}");
    let command = format!("/usr/lib/ostree/ostree-prepare-root --systemd=no /sysroot {argument} >&-");
    let status = initramfs.host_program("dash").args(["-c", &command]).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

pub(crate) fn links_in_place_of_boot_and_var_are_followed_inside(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    std::fs::rename(disk.path("boot"), disk.path("real-boot"))?;
    disk.link("boot", "/real-boot")?;
    std::fs::rename(disk.path("ostree/deploy/os/var"), disk.path("data"))?;
    disk.link("ostree/deploy/os/var", "/data")?;
    silent_success(&initramfs.run(["--systemd=no", "/sysroot", &disk.argument()])?)?;
    let table = initramfs.mounts()?;
    for mount in ["/sysroot/boot tmpfs of /real-boot ", "/sysroot/var tmpfs of /data "] {
        ensure!(table.contains(mount), "{table}");
    }
    Ok(())
}

/// The stateroot's `var` is bound over itself: where it is a link, over what that leads to on the physical root.
pub(crate) fn a_link_in_place_of_var_is_followed_inside_a_read_only_sysroot(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    std::fs::rename(disk.path("ostree/deploy/os/var"), disk.path("data"))?;
    disk.link("ostree/deploy/os/var", "/data")?;
    initramfs.configure("[sysroot]\nreadonly=true\n")?;
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    let table = initramfs.mounts()?;
    ensure!(table.contains("/sysroot/sysroot/data tmpfs of /data rw"), "{table}");
    Ok(())
}

const READ_ONLY: &str = "/sysroot tmpfs of /DEPLOYMENT rw,relatime []\n\
     /sysroot/boot tmpfs of /boot ro,relatime []\n\
     /sysroot/etc tmpfs of /DEPLOYMENT/etc rw,relatime []\n\
     /sysroot/sysroot tmpfs of / ro,relatime []\n\
     /sysroot/sysroot/STATEVAR tmpfs of /STATEVAR rw,relatime []\n\
     /sysroot/usr tmpfs of /DEPLOYMENT/usr ro,relatime []\n\
     /run tmpfs of / rw,relatime []";

fn read_only_sysroot(initramfs: &Initramfs) -> Result<()> {
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    assert_eq!(mounts(initramfs)?, READ_ONLY);
    ensure!(std::fs::write("/sysroot/sysroot/new", "").is_err(), "/sysroot is writable");
    std::fs::write("/sysroot/etc/new", "")?;
    std::fs::write("/sysroot/sysroot/ostree/deploy/os/var/new", "")?;
    Ok(())
}

pub(crate) fn sysroot_is_read_only_when_the_configuration_says_so(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[sysroot]\nreadonly=true\n")?;
    read_only_sysroot(initramfs)
}

pub(crate) fn sysroot_is_read_only_when_the_repository_says_so(initramfs: &mut Initramfs) -> Result<()> {
    // A comment that is no UTF-8 is nothing to GLib.
    initramfs.disk.file("ostree/repo/config", b"# f\xfcr alle\n[sysroot]\nreadonly=true\n")?;
    read_only_sysroot(initramfs)
}

pub(crate) fn an_explicit_false_still_asks_the_repository(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[sysroot]\nreadonly=false\n")?;
    sysroot_is_read_only_when_the_repository_says_so(initramfs)
}

pub(crate) fn etc_is_transient(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[etc]\ntransient=true\n")?;
    let outcome = initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?;
    // One line tells that something will be lost.
    ensure!(outcome.code == Some(0) && outcome.stderr.lines().count() == 1, "{outcome:?}");
    ensure!(outcome.told().contains("changes in /etc are lost at the next boot"), "{outcome:?}");
    let table = mounts(initramfs)?;
    let etc = "/sysroot/etc overlay of / rw,relatime [] lowerdir=/run/ostree/.private/usr/etc \
               upperdir=/run/ostree/transient-etc.XXXXXX/upper workdir=/run/ostree/transient-etc.XXXXXX/work";
    ensure!(table.contains(etc), "{table}");
    assert_eq!(initramfs.read("/sysroot/etc/marker")?, "shipped");
    std::fs::write("/sysroot/etc/marker", "changed")?;
    assert_eq!(initramfs.read(&format!("/sysroot/sysroot/{}/usr/etc/marker", initramfs.disk.deployment))?, "shipped");
    let booted = String::from_utf8_lossy(&std::fs::read("/run/ostree-booted")?).into_owned();
    let place =
        std::fs::read_dir("/run/ostree")?.filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()));
    let place: Vec<String> = place.filter(|name| name.starts_with("transient-etc.")).collect();
    let [place] = place.as_slice() else { bail!("one directory: {place:?}") };
    ensure!(booted.contains(&format!("/run/ostree/{place}")), "{place} {booted:?}");
    let layers = listing(&std::path::Path::new("/run/ostree").join(place))?;
    ensure!(layers.contains("upper directory 0755") && layers.contains("work directory 0755"), "{layers}");
    Ok(())
}

pub(crate) fn etc_is_transient_with_a_read_only_sysroot(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.disk.file("ostree/repo/config", "[sysroot]\nreadonly=true\n")?;
    etc_is_transient(initramfs)
}

fn begin_hotfix(initramfs: &Initramfs) -> Result<()> {
    let deployment = &initramfs.disk.deployment;
    initramfs.disk.file(&format!("{deployment}/.usr-ovl-upper/fixed"), "hot")?;
    initramfs.disk.directory(&format!("{deployment}/.usr-ovl-work"))
}

pub(crate) fn a_hotfix_is_writable(initramfs: &mut Initramfs) -> Result<()> {
    begin_hotfix(initramfs)?;
    silent_success(&initramfs.boot()?)?;
    assert_eq!(initramfs.read("/sysroot/usr/fixed")?, "hot");
    assert_eq!(initramfs.read("/sysroot/usr/marker")?, "usr");
    std::fs::write("/sysroot/usr/more", "")?;
    ensure!(initramfs.disk.path(&format!("sysroot/{}/.usr-ovl-upper/more", initramfs.disk.deployment)).exists());
    Ok(())
}

pub(crate) fn a_hotfix_on_a_read_only_disk_is_readable(initramfs: &mut Initramfs) -> Result<()> {
    begin_hotfix(initramfs)?;
    initramfs.make_disk_read_only()?;
    silent_success(&initramfs.boot()?)?;
    assert_eq!(initramfs.read("/sysroot/usr/fixed")?, "hot");
    assert_eq!(initramfs.read("/sysroot/usr/marker")?, "usr");
    ensure!(std::fs::write("/sysroot/usr/more", "").is_err(), "/usr is writable");
    // The kernel takes at most 255 bytes: no name of a stateroot may be in it.
    let table = mounts(initramfs)?;
    let layers = "lowerdir=/run/ostree/.private/.usr-ovl-upper:/run/ostree/.private/usr";
    ensure!(table.contains(layers), "{table}");
    Ok(())
}

const VAR: &str = "/sysroot/var tmpfs of /STATEVAR rw,relatime [shared]\n";

pub(crate) fn the_marker_file_mounts_var(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/run/ostree/initramfs-mount-var", "")?;
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    let table = mounts(initramfs)?;
    ensure!(table.contains(VAR), "{table}");
    Ok(())
}

pub(crate) fn without_systemd_var_and_boot_are_mounted(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/etc/ostree/prepare-root.conf.d/10.conf", "[boot]\nmount=no\n")?;
    silent_success(&initramfs.boot()?)?;
    let table = mounts(initramfs)?;
    ensure!(table.contains(VAR) && table.contains("/sysroot/boot tmpfs of /boot rw"), "{table}");
    Ok(())
}

/// Makes the deployment's init a systemd that mounts `/var` later.
pub(crate) fn systemd_in_deployment(initramfs: &Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    let deployment = |path: &str| format!("{}/{path}", disk.deployment);
    disk.file(&deployment("usr/lib/systemd/systemd"), "systemd")?;
    disk.file(&deployment("usr/lib/systemd/system-generators/ostree-system-generator"), "generator")?;
    std::fs::remove_file(disk.path(&deployment("sbin/init")))?;
    disk.link(&deployment("sbin/init"), "/usr/lib/systemd/systemd")
}

/// A script calls, and the init that it will start is systemd.
pub(crate) fn the_deployments_systemd_mounts_var(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.keep_disk()?;
    let (disk, argument) = (&initramfs.disk, initramfs.disk.argument());
    systemd_in_deployment(initramfs)?;
    initramfs.write("/etc/ostree/prepare-root.conf.d/10.conf", "[boot]\nmount=no\n")?;
    initramfs.set_kernel_command_line(&format!("root=LABEL=x rw {argument}\n"))?;
    // A generator does not know of an argument that the kernel has not got.
    for (arguments, mounted) in [
        (&["/sysroot"][..], false),
        (&["--systemd=no", "/sysroot"], true),
        (&["/sysroot", &argument], true),
        (&["/sysroot", &format!("{argument} init=/usr/lib/systemd/systemd")], true),
    ] {
        silent_success(&initramfs.run(arguments)?)?;
        let table = mounts(initramfs)?;
        ensure!(table.contains(VAR) == mounted && table.contains("/sysroot/boot") == mounted, "{arguments:?}: {table}");
        initramfs.start_over()?;
    }
    let init = format!("{}/sbin/init", disk.deployment);
    std::fs::remove_file(disk.path(&init))?;
    disk.file(&init, "another init")?;
    silent_success(&initramfs.run(["/sysroot"])?)?;
    let table = mounts(initramfs)?;
    ensure!(table.contains(VAR) && table.contains("/sysroot/boot"), "{table}");
    Ok(())
}

pub(crate) fn boot_is_left_to_the_generator_when_told(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf", "[boot]\nmount=no\n")?;
    std::fs::create_dir_all("/run/systemd/system")?;
    silent_success(&initramfs.boot()?)?;
    let table = mounts(initramfs)?;
    ensure!(!table.contains("/sysroot/boot") && !table.contains("/sysroot/var"), "{table}");
    Ok(())
}

/// As libostree up to 2025.x mounts it, for which the dracut module asks.
pub(crate) fn boot_is_writable_when_told(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf", "[boot]\nmount=yes\n")?;
    initramfs.configure("[sysroot]\nreadonly=true\n")?;
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    let table = mounts(initramfs)?;
    ensure!(
        table.contains("/sysroot/boot tmpfs of /boot rw") && table.contains("/sysroot/sysroot tmpfs of / ro"),
        "{table}"
    );
    Ok(())
}

pub(crate) fn a_separate_boot_is_left_alone(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.disk.remove("boot/loader")?;
    silent_success(&initramfs.boot()?)?;
    let table = mounts(initramfs)?;
    ensure!(!table.contains("/sysroot/boot"), "{table}");
    Ok(())
}

pub(crate) fn android_slots_are_followed(initramfs: &mut Initramfs) -> Result<()> {
    let other = initramfs.disk.deploy('b', 0)?;
    initramfs.disk.link("ostree/root.b", &other.replacen("ostree/", "", 1))?;
    silent_success(
        &initramfs.run(["/sysroot", &format!("{} androidboot.slot_suffix=_b", initramfs.disk.argument())])?,
    )?;
    let table = mounts(initramfs)?;
    ensure!(table.contains(&format!("/sysroot tmpfs of /{other} ")), "{table}");
    Ok(())
}

pub(crate) fn absolute_links_stay_inside_the_physical_root(initramfs: &mut Initramfs) -> Result<()> {
    let target = format!("/{}", initramfs.disk.deployment);
    initramfs.disk.link("ostree/elsewhere", &target)?;
    initramfs.disk.link("ostree/upwards", &format!("../../../../..{target}"))?;
    let plan = |path: &str| initramfs.run(["--plan", "/sysroot", &format!("ostree={path}")]);
    for path in ["/ostree/elsewhere", "/ostree/upwards", "/ostree/elsewhere/"] {
        ensure!(plan(path)?.stdout.contains(&target), "{path}");
    }
    Ok(())
}

pub(crate) fn the_administrators_file_replaces_the_distributions(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/usr/lib/ostree/prepare-root.conf", "[sysroot]\nreadonly=true\n")?;
    initramfs.configure("# nothing\n")?;
    silent_success(&initramfs.boot()?)?;
    let table = mounts(initramfs)?;
    ensure!(table.contains("/sysroot/sysroot tmpfs of / rw"), "{table}");
    Ok(())
}

pub(crate) fn drop_ins_count_for_our_keys(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10.conf", "[boot]\nmount=no\n")?;
    initramfs.write("/etc/ostree/prepare-root.conf.d/20.conf", "[boot]\nmount=yes\n")?;
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    ensure!(mounts(initramfs)?.contains("/sysroot/boot"));
    Ok(())
}

/// As everywhere where the UAPI's configuration files are read, also where there is no `/dev/null` yet.
pub(crate) fn a_link_to_dev_null_switches_a_file_off(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.write("/usr/lib/ostree/prepare-root.conf.d/10.conf", "[boot]\nmount=no\n")?;
    initramfs.write("/etc/ostree/prepare-root.conf.d/20.conf", "[boot]\n")?;
    std::os::unix::fs::symlink("/dev/null", "/etc/ostree/prepare-root.conf.d/10.conf")?;
    silent_success(&initramfs.run(["--check-config", "/"])?)?;
    std::fs::create_dir_all("/tree/etc/ostree/prepare-root.conf.d")?;
    std::os::unix::fs::symlink("/dev/null", "/tree/etc/ostree/prepare-root.conf.d/10.conf")?;
    silent_success(&initramfs.run(["--check-config", "/tree"])?)?;
    silent_success(&initramfs.run(["--systemd=yes", "/sysroot", &initramfs.disk.argument()])?)?;
    ensure!(mounts(initramfs)?.contains("/sysroot/boot"));
    Ok(())
}

pub(crate) fn a_plan_changes_nothing(initramfs: &mut Initramfs) -> Result<()> {
    let before = (initramfs.mounts()?, listing(std::path::Path::new("/run"))?);
    let words = initramfs.run(["--plan", "/sysroot", &initramfs.disk.argument()])?;
    silent_success(&words)?;
    ensure!(words.stdout.contains("detach the physical root from /sysroot"), "{}", words.stdout);
    let json = initramfs.run(["--plan", "--json", "/sysroot", &initramfs.disk.argument()])?;
    silent_success(&json)?;
    json_schemas::require("prepare-root-plan", &serde_json::from_str(&json.stdout)?)?;
    ensure!(json.stdout.contains("\"do\": \"booted-state\""), "{}", json.stdout);
    assert_eq!((initramfs.mounts()?, listing(std::path::Path::new("/run"))?), before);
    Ok(())
}

pub(crate) fn a_plan_of_a_running_system_is_that_of_its_disk(initramfs: &mut Initramfs) -> Result<()> {
    let plan = |sysroot: &str| initramfs.run(["--plan", sysroot, &initramfs.disk.argument()]);
    let before = plan("/sysroot")?.stdout;
    initramfs.boot()?;
    let after = plan("/sysroot")?;
    silent_success(&after)?;
    assert_eq!(after.stdout, before.replace("from /sysroot,", "from /sysroot/sysroot,"));
    Ok(())
}

pub(crate) fn check_config_says_what_would_stop_a_boot(initramfs: &mut Initramfs) -> Result<()> {
    let check = || initramfs.run(["--check-config", "/"]);
    silent_success(&check()?)?;
    for (text, word) in [
        ("[sysroot]\nreadonly=maybe\n", "readonly = \"maybe\""),
        ("[root]\ntransient=true\n[composefs]\nkernel-argument=ignore\n", "needs composefs"),
        ("[composefs]\nenabled=signed\n", "/etc/ostree/initramfs-root-binding.key"),
    ] {
        initramfs.configure(text)?;
        let outcome = check()?;
        ensure!(outcome.code == Some(1) && outcome.told().contains(word), "{text}: {outcome:?}");
    }
    initramfs.configure("[root]\ntransient=true\n")?;
    let outcome = check()?;
    ensure!(
        outcome.code == Some(0) && outcome.told().contains("boots only with ostree.prepare-root.composefs="),
        "{outcome:?}"
    );
    // The key of RFC 8032's third test.
    let key = "/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=";
    initramfs.configure("[composefs]\nenabled=signed\nkeypath=/etc/keys\n")?;
    for (keys, reason) in [
        (String::new(), "it has no key"),
        (format!("{key}\nnonsense!\n"), "line 2 is not base64"),
        ("AAAA\n".to_owned(), "line 1 has 3 bytes"),
    ] {
        initramfs.write("/etc/keys", keys)?;
        let outcome = check()?;
        ensure!(outcome.code == Some(1) && outcome.told().contains(reason), "{reason}: {outcome:?}");
    }
    for keys in [format!("{key}\n"), format!("{key}\r\n{key}\r\n")] {
        initramfs.write("/etc/keys", keys)?;
        silent_success(&check()?)?;
    }
    initramfs.configure("[etc]\ntransient=no\n[sysroot]\n[etc]\ntransient=true\n")?;
    let outcome = check()?;
    let warning = "line 5: [etc] transient = \"true\" overrides \"no\" of line 2";
    ensure!(outcome.code == Some(0) && outcome.told().contains(warning), "{outcome:?}");
    initramfs.configure("")?;
    initramfs.write("/etc/ostree/prepare-root.conf.d/10.conf", "[sysroot]\nreadonly=true\n")?;
    let outcome = check()?;
    ensure!(outcome.code == Some(1) && outcome.told().contains("reads no drop-ins"), "{outcome:?}");
    Ok(())
}

pub(crate) fn a_typing_mistake_is_a_warning(initramfs: &mut Initramfs) -> Result<()> {
    initramfs.configure("[sysroot]\nread-only=true\n")?;
    let outcome = initramfs.boot()?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    ensure!(
        outcome.told().contains("unknown key \"read-only\" in [sysroot]; did you mean \"readonly\"?"),
        "{outcome:?}"
    );
    Ok(())
}

pub(crate) fn the_run_directory_may_exist(initramfs: &mut Initramfs) -> Result<()> {
    std::fs::create_dir_all("/run/ostree/.private")?;
    silent_success(&initramfs.boot()?)
}
