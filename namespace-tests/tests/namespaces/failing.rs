//! Killed, or refused by the kernel, at any point.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Machine;
use namespace_tests::{Initramfs, inside, inside_of, listing};

use crate::bad_input::refused;

/// With everything that makes a plan long.
const CONFIGURATION: &str = "[sysroot]\nreadonly=true\n[etc]\ntransient=true\n";

/// The same, with an image as the root.
const IMAGE_CONFIGURATION: &str = "[composefs]\nenabled=yes\n[root]\ntransient=true\n[etc]\ntransient=true\n";

/// Where a story takes place.
struct Ground(Option<Machine>);

impl Ground {
    fn plain() -> Ground {
        Ground(None)
    }

    fn with_image() -> Result<Ground> {
        Ok(Ground(Some(crate::composefs::machine()?)))
    }

    /// A story in a fresh initramfs.
    fn again<T: Send>(&self, story: impl FnOnce(&mut Initramfs) -> Result<T> + Send) -> Result<T> {
        let binary = crate::binary().context("FIRSTROOT_PREPARE_ROOT is not set")?;
        let configured = |configuration: &'static str| {
            move |initramfs: &mut Initramfs| {
                initramfs.configure(configuration)?;
                story(initramfs)
            }
        };
        match &self.0 {
            None => inside(&binary, None, configured(CONFIGURATION)),
            Some(machine) => inside_of(machine, &binary, None, configured(IMAGE_CONFIGURATION)),
        }
    }
}

/// System calls of one undisturbed run, by name, in their order.
fn calls(ground: &Ground) -> Result<Vec<String>> {
    ground.again(|initramfs| {
        let outcome = initramfs.strace(&["-o", "/trace"], ["/sysroot", &initramfs.disk.argument()])?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        let trace = initramfs.read("/trace")?;
        let name = |line: &str| Some(line.split_once('(')?.0.rsplit(' ').next()?.to_owned());
        Ok(trace.lines().filter_map(name).collect())
    })
}

/// Each call with its number among those of its name, as strace counts.
fn numbered(calls: Vec<String>) -> Vec<(String, usize)> {
    let number = |(index, name): (usize, &String)| {
        let before = calls.iter().take(index).filter(|earlier| *earlier == name).count();
        (name.clone(), before + 1)
    };
    calls.iter().enumerate().map(number).collect()
}

/// What must be the same after every boot that succeeded.
fn state(initramfs: &Initramfs) -> Result<String> {
    let booted = std::fs::read("/run/ostree-booted")?;
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("/run/ostree")? {
        // The end of the name is random.
        names.push(entry?.file_name().to_string_lossy().split('.').take(2).next().unwrap_or_default().to_owned());
    }
    names.sort();
    Ok(format!("{}\n{}\n{names:?}", initramfs.mounts()?, booted.len()))
}

pub(crate) fn killed_at_any_system_call_a_second_run_succeeds() -> Result<()> {
    killed_at_any_system_call(&Ground::plain())
}

pub(crate) fn killed_with_an_image_a_second_run_succeeds() -> Result<()> {
    killed_at_any_system_call(&Ground::with_image()?)
}

fn killed_at_any_system_call(ground: &Ground) -> Result<()> {
    let undisturbed = ground.again(|initramfs| {
        initramfs.boot()?;
        state(initramfs)
    })?;
    let mut killed = 0;
    for (name, n) in numbered(calls(ground)?) {
        let inject = format!("inject={name}:signal=SIGKILL:when={n}");
        ground.again(|initramfs| {
            let options = ["-o", "/dev/null", "-e", "trace=all", "-e", &inject];
            let first = initramfs.strace(&options, ["/sysroot", &initramfs.disk.argument()])?;
            killed += usize::from(first.code != Some(0));
            let second = initramfs.boot()?;
            ensure!(second.code == Some(0), "killed at {name} {n}: {second:?}");
            assert_eq!(state(initramfs)?, undisturbed, "killed at {name} {n}");
            Ok(())
        })?;
    }
    ensure!(killed > 60, "only {killed} runs were killed");
    Ok(())
}

/// Nothing that a run wrote before it was killed stays when the next one fails.
pub(crate) fn killed_late_and_then_failing_nothing_is_left() -> Result<()> {
    killed_late_and_then_failing(&Ground::plain())
}

pub(crate) fn killed_late_with_an_image_and_then_failing_nothing_is_left() -> Result<()> {
    killed_late_and_then_failing(&Ground::with_image()?)
}

fn killed_late_and_then_failing(ground: &Ground) -> Result<()> {
    let last = calls(ground)?.iter().filter(|name| *name == "move_mount").count();
    let inject = format!("inject=move_mount:signal=SIGKILL:when={last}");
    ground.again(|initramfs| {
        initramfs.disk.link("ostree/dangling", "deploy/gone")?;
        let before = initramfs.mounts()?;
        let options = ["-o", "/dev/null", "-e", "trace=all", "-e", &inject];
        initramfs.strace(&options, ["/sysroot", &initramfs.disk.argument()])?;
        ensure!(std::path::Path::new("/run/ostree-booted").exists(), "it was killed too early for this test");
        std::env::set_current_dir("/")?;
        // By another name of the same place.
        let outcome = initramfs.run(["sysroot", "ostree=/ostree/dangling"])?;
        ensure!(outcome.code == Some(1) && outcome.told().contains("which does not exist"), "{outcome:?}");
        assert_eq!(initramfs.mounts()?, before);
        let left = listing(std::path::Path::new("/run"))?;
        for name in ["booted", "transient", "volatile-root"] {
            ensure!(!left.contains(name), "{left}");
        }
        ensure!(initramfs.boot()?.code == Some(0), "and then it boots");
        Ok(())
    })
}

pub(crate) fn whatever_call_fails_the_physical_root_is_where_it_was() -> Result<()> {
    whatever_call_fails(&Ground::plain())
}

pub(crate) fn whatever_call_fails_with_an_image_the_physical_root_is_where_it_was() -> Result<()> {
    whatever_call_fails(&Ground::with_image()?)
}

fn whatever_call_fails(ground: &Ground) -> Result<()> {
    const REFUSED: [&str; 10] = [
        "openat2",
        "open_tree",
        "mount_setattr",
        "move_mount",
        "fsopen",
        "fsconfig",
        "fsmount",
        "umount2",
        "mkdirat",
        "renameat",
    ];
    let undisturbed = ground.again(|initramfs| {
        initramfs.boot()?;
        state(initramfs)
    })?;
    let mut refusals = 0;
    for (name, n) in numbered(calls(ground)?).into_iter().filter(|(name, _)| REFUSED.contains(&name.as_str())) {
        let inject = format!("inject={name}:error=EPERM:when={n}");
        ground.again(|initramfs| {
            let before = initramfs.mounts()?;
            let options = ["-o", "/dev/null", "-e", "trace=all", "-e", &inject];
            let outcome = initramfs.strace(&options, ["/sysroot", &initramfs.disk.argument()])?;
            if outcome.code == Some(0) {
                // What it could do without is nothing that is seen afterwards.
                assert_eq!(state(initramfs)?, undisturbed, "refused {name} {n}: {}", outcome.stderr);
                return Ok(());
            }
            refusals += 1;
            ensure!(outcome.told().contains("cannot boot: "), "{name} {n}: {outcome:?}");
            assert_eq!(initramfs.mounts()?, before, "{name} {n}: {}", outcome.stderr);
            let left = listing(std::path::Path::new("/run"))?;
            for record in ["booted", "transient", "volatile-root"] {
                ensure!(!left.contains(record), "{name} {n}: {left}");
            }
            ensure!(initramfs.boot()?.code == Some(0), "{name} {n}: a second run");
            Ok(())
        })?;
    }
    ensure!(refusals > 20, "only {refusals} calls were refused");
    Ok(())
}

pub(crate) fn the_report_says_what_there_is(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    let asked = disk.bootlink.replace("boot.1/os/", "boot.0/other/");
    disk.file(&format!("{}/usr/lib/os-release", disk.deployment), "PRETTY_NAME=\"Debian GNU/Linux 13\"\n")?;
    let outcome = refused(
        initramfs,
        &["/sysroot", &format!("ostree={asked}")],
        &[
            &format!("cannot boot: there is no boot link {asked}"),
            &format!("asked for:    {asked} (kernel argument ostree={asked})"),
            "looked up:    ",
            "mounted:      disk on /sysroot, tmpfs, rw,relatime",
            &format!("boot links:   /{} -> ../../../deploy/os/deploy/", &disk.bootlink[1..]),
            &format!("deployments:  0: /{} (Debian GNU/Linux 13, origin test:os/stable)", disk.deployment),
            "likely cause: boot loader entries and boot links do not match",
            "what to do:   in the boot menu choose another entry, or add:",
        ],
    )?;
    let bootcsum = disk.bootcsum.get(..4).unwrap_or_default();
    let screen = format!(
        "\
ostree-prepare-root: cannot boot: there is no boot link
  /ostree/boot.0/other/{bootcsum}…/0
  mounted:      disk on /sysroot, tmpfs, rw,relatime,size=…
  likely cause: boot loader entries and boot links do not match: an update was
                interrupted, or only one of them was restored from a backup
  deployments:  0 aaaa Debian GNU/Linux 13
  more:         /run/ostree/boot-failure
  what to do:   in the boot menu choose another entry, or add:
                  firstroot.deployment=0
                or in this shell:
                  /usr/lib/ostree/ostree-prepare-root --deployment 0 /sysroot
                then switch to the new root
"
    );
    let without_options = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("mounted: "));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    assert_eq!(without_options(&outcome.stderr), without_options(&screen));
    // The file is for the system that boots after all, with what the report says.
    let argument = format!("ostree={asked}");
    ensure!(initramfs.run(["--deployment", "0", "/sysroot", &argument])?.code == Some(0), "it boots");
    Ok(())
}
