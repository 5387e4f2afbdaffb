//! Our dracut module, run by the dracut of each release: 059 (Debian 12), 106 (13) and the newest.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::cache::Cache;
use qemu_tests::dpkg;
use qemu_tests::guest::Guest;
use qemu_tests::host;
use qemu_tests::namespace::Namespace;
use qemu_tests::package::{INSTALLED_PREPARE_ROOT, PREPARE_ROOT, Package};
use qemu_tests::rootfs::{Rootfs, why_not_installable};
use qemu_tests::stopwatch::{print_longest, timed};
use tempfile::TempDir;

/// What runs prepare-root in an initramfs with systemd.
const UNIT: &str = "ostree-prepare-root.service";

/// What a test does with one guest.
type Story = fn(Guest) -> Result<()>;

const STORIES: &[(&str, Story)] = &[
    ("no_path_is_another_packages", no_path_is_another_packages),
    ("the_image_has_what_a_boot_needs", the_image_has_what_a_boot_needs),
    ("another_tree_than_its_own_gives_the_same_image", another_tree_than_its_own_gives_the_same_image),
    ("who_mounts_boot_can_be_said", who_mounts_boot_can_be_said),
    ("a_configuration_that_would_stop_the_boot_stops_the_build", a_bad_configuration_stops_the_build),
    ("without_systemd_a_hook_runs_it", without_systemd_a_hook_runs_it),
];

fn main() -> ExitCode {
    let wanted = std::env::var_os("FIRSTROOT_MACHINES").is_some();
    let arguments = Arguments::from_args();
    if wanted
        && !arguments.list
        && let Err(error) = host::ensure_ready()
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let mut trials = Vec::new();
    for guest in [Guest::Bookworm, Guest::Trixie, Guest::Forky] {
        let why_not = if wanted {
            why_not_installable(guest).unwrap_or_default()
        } else {
            "needs root and guests: cargo xtask test".to_owned()
        };
        for (name, story) in STORIES {
            // Debian 12's dracut finds no udev in another tree, with or without our module.
            if guest == Guest::Bookworm && *name == "another_tree_than_its_own_gives_the_same_image" {
                continue;
            }
            let full = format!("{guest}::{name}");
            let timed_name = full.clone();
            let run = move || timed(&timed_name, || story(guest)).map_err(|error| Failed::from(format!("{error:#}")));
            let trial = Trial::test(full, run);
            trials.push(trial.with_kind(&why_not).with_ignored_flag(!why_not.is_empty()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_longest();
    conclusion.exit_code()
}

/// A guest with our package over it, in which dracut runs.
struct Build {
    rootfs: Rootfs,
    package: Package,
    /// Files of the administrator, laid over both.
    extra: TempDir,
    out: TempDir,
}

/// An initramfs, unpacked; there as long as its build.
struct Image<'a> {
    root: PathBuf,
    build: &'a Build,
}

impl Build {
    fn on(guest: Guest) -> Result<Build> {
        let cache = Cache::open()?;
        Ok(Build {
            rootfs: Rootfs::of(guest, &cache)?,
            package: Package::find()?,
            extra: tempfile::tempdir()?,
            out: tempfile::tempdir()?,
        })
    }

    fn with_file(self, path: &str, content: &str) -> Result<Build> {
        let path = self.extra.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        fs::write(path, content)?;
        Ok(self)
    }

    fn with_link(self, path: &str, target: &str) -> Result<Build> {
        let path = self.extra.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        std::os::unix::fs::symlink(target, path)?;
        Ok(self)
    }

    /// The image, with nothing but our module and what it stands on; an error carries what dracut said.
    fn dracut(&self, options: &str) -> Result<Image<'_>> {
        let namespace = Namespace::of(&self.rootfs.path());
        self.dracut_in(&namespace.overlaid_with(self.package.path()).overlaid_with(self.extra.path()), options)
    }

    /// The same by a dracut that works on another tree than its own, as the tools do that build images.
    fn dracut_of_another_tree(&self) -> Result<Image<'_>> {
        let layers =
            [self.extra.path(), self.package.path(), &self.rootfs.path()].map(|path| path.display().to_string());
        // dracut works in a temporary directory of the tree.
        let tree = format!(
            "-t overlay -o lowerdir={},upperdir=$scratch/tree-upper,workdir=$scratch/tree-work tree",
            layers.join(":")
        );
        // dracut takes its modules from its own system: of our package it has the module, and nothing else.
        let module = "usr/lib/dracut/modules.d/49ostree";
        let namespace = Namespace::of(&self.rootfs.path())
            .prepared_by("mkdir \"$scratch/tree-upper\" \"$scratch/tree-work\"")
            .mounted(&tree, "/tree")
            .bound(&self.package.path().join(module), &format!("/{module}"));
        self.dracut_in(&namespace, "--sysroot /tree --add 'systemd ostree'")
    }

    fn dracut_in(&self, namespace: &Namespace, options: &str) -> Result<Image<'_>> {
        let kernel_version = self.rootfs.kernel_version()?;
        // Without the configuration of Debian's ostree-boot: what enables our module is our own.
        namespace.clone().bound(self.out.path(), "/out").run(&format!(
            "rm -f /etc/dracut.conf.d/*ostree*\n\
                 dracut --force --no-hostonly --no-early-microcode --compress cat --kver '{kernel_version}' \
                 --omit 'btrfs hwdb kernel-modules kernel-modules-extra qemu nvdimm lunmask' \
                 {options} /out/image 2>&1"
        ))?;
        let root = self.out.path().join("root");
        fs::create_dir(&root)?;
        let status = Command::new("cpio")
            .args(["--quiet", "-id", "--no-absolute-filenames"])
            .stdin(fs::File::open(self.out.path().join("image"))?)
            .current_dir(&root)
            .status()?;
        ensure!(status.success(), "cpio: {status}");
        Ok(Image { root, build: self })
    }
}

impl Image<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| format!("{path} in the image"))
    }

    /// Fails unless the image has the unit of our package, without its comments.
    fn has_unit(&self) -> Result<()> {
        let whole = fs::read_to_string(self.build.package.path().join("usr/lib/firstroot").join(UNIT))?;
        let lines = whole.lines().filter(|line| !line.starts_with('#'));
        let found = self.read(&format!("usr/lib/systemd/system/{UNIT}"))?;
        ensure!(found.lines().eq(lines), "another unit:\n{found}");
        Ok(())
    }

    /// Whether the kernel of the image can load `module`, or has it built in.
    fn has_module(&self, module: &str) -> Result<bool> {
        let kernels = self.path("usr/lib/modules");
        let kernel = fs::read_dir(&kernels)?.next().context("no kernel modules in the image")??.path();
        let ends = |list: &str| {
            let list = fs::read_to_string(kernel.join(list)).unwrap_or_default();
            list.lines().any(|line| line.split(':').next().unwrap_or_default().contains(&format!("/{module}.ko")))
        };
        Ok(ends("modules.dep") || ends("modules.builtin"))
    }
}

/// Where our package can be installed beside all others of the guest, libostree's first of all: no file is in two of them.
fn no_path_is_another_packages(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?;
    let ours: BTreeSet<String> = build.package.paths()?.into_iter().map(|path| format!("/{path}")).collect();
    ensure!(ours.contains(&format!("/{INSTALLED_PREPARE_ROOT}")), "our list is another one: {ours:?}");
    let mut seen = BTreeSet::new();
    for (package, files) in dpkg::packages(&build.rootfs.path())? {
        // Packages compress their manual pages.
        let common: Vec<&str> =
            files.iter().map(|file| file.trim_end_matches(".gz")).filter(|file| ours.contains(*file)).collect();
        ensure!(common.is_empty(), "{package} has, too: {common:?}");
        ensure!(package != "ostree-boot" || files.iter().any(|file| file == &format!("/{PREPARE_ROOT}")), "{files:?}");
        seen.insert(package);
    }
    ensure!(["ostree", "ostree-boot", "dracut"].iter().all(|name| seen.contains(*name)), "not all packages: {seen:?}");
    Ok(())
}

fn the_image_has_what_a_boot_needs(guest: Guest) -> Result<()> {
    let key = "usr/share/keys/image.pub";
    // A group may be repeated.
    let conf = format!("[sysroot]\nreadonly=true\n[composefs]\nenabled=no\n[composefs]\nkeypath=/{key}\n");
    let build = Build::on(guest)?
        .with_file("etc/ostree/prepare-root.conf", &conf)?
        .with_file("etc/ostree/prepare-root.conf.d/20-device.conf", "[boot]\non-failure=reboot\n")?
        .with_file("usr/lib/ostree/prepare-root.conf.d/30-image.conf", "[boot]\nrecover=no\n")?
        .with_file(key, "key\n")?;
    let image = build.dracut("")?;

    ensure!(
        fs::read(image.path(PREPARE_ROOT))? == fs::read(image.build.package.path().join(INSTALLED_PREPARE_ROOT))?,
        "another binary"
    );
    ensure!(image.read("etc/ostree/prepare-root.conf")? == conf);
    ensure!(image.read("etc/ostree/prepare-root.conf.d/20-device.conf")? == "[boot]\non-failure=reboot\n");
    ensure!(image.read("usr/lib/ostree/prepare-root.conf.d/30-image.conf")? == "[boot]\nrecover=no\n");
    ensure!(image.read(key)? == "key\n");
    image.has_unit()?;
    let wanted = format!("usr/lib/systemd/system/initrd-root-fs.target.requires/{UNIT}");
    let wanted = fs::read_link(image.path(&wanted))?;
    ensure!(wanted == Path::new("..").join(UNIT), "{}", wanted.display());
    // libostree's module, which is in the guest as well, wants its unit by this target.
    ensure!(!image.path(&format!("usr/lib/systemd/system/initrd-root-fs.target.wants/{UNIT}")).exists());
    for module in ["overlay", "erofs", "loop"] {
        ensure!(image.has_module(module)?, "the image has no {module}");
    }
    // Debian testing's generator mounts /boot, the others' does not.
    let boot = if guest == Guest::Forky { "mount=no" } else { "mount=yes" };
    let drop_in = image.read("usr/lib/ostree/prepare-root.conf.d/10-dracut.conf")?;
    ensure!(drop_in.ends_with(&format!("[boot]\n{boot}\n")), "{drop_in}");
    Ok(())
}

/// The dracut that runs is of a system without our files, and so is the one whose files it must not take.
fn another_tree_than_its_own_gives_the_same_image(guest: Guest) -> Result<()> {
    let conf = "[sysroot]\nreadonly=true\n";
    let build = Build::on(guest)?
        .with_file("usr/share/image.conf", conf)?
        .with_link("etc/ostree/prepare-root.conf", "/usr/share/image.conf")?
        .with_link("etc/ostree/prepare-root.conf.d/20-off.conf", "/dev/null")?
        .with_file("usr/lib/ostree/prepare-root.conf.d/30-image.conf", "[boot]\nrecover=no\n")?;
    let image = build.dracut_of_another_tree()?;
    ensure!(image.read("etc/ostree/prepare-root.conf")? == conf);
    ensure!(image.read("usr/lib/ostree/prepare-root.conf.d/30-image.conf")? == "[boot]\nrecover=no\n");
    let off = fs::read_link(image.path("etc/ostree/prepare-root.conf.d/20-off.conf"))?;
    ensure!(off == Path::new("/dev/null"), "{}", off.display());
    image.has_unit()?;
    ensure!(
        fs::read(image.path(PREPARE_ROOT))? == fs::read(build.package.path().join(INSTALLED_PREPARE_ROOT))?,
        "another binary"
    );
    Ok(())
}

fn who_mounts_boot_can_be_said(guest: Guest) -> Result<()> {
    let conf = "[sysroot]\nreadonly=true\n[boot]\nrecover=yes\n[boot]\nmount = no\n";
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", conf)?;
    let image = build.dracut("")?;
    ensure!(image.read("etc/ostree/prepare-root.conf")? == conf);
    ensure!(!image.path("usr/lib/ostree/prepare-root.conf.d/10-dracut.conf").exists(), "the module overrules it");
    Ok(())
}

fn a_bad_configuration_stops_the_build(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", "[sysroot]\nreadonly=perhaps\n")?;
    let error = match build.dracut("") {
        Ok(_) => anyhow::bail!("an image was made"),
        Err(error) => format!("{error:#}"),
    };
    for part in
        ["/etc/ostree/prepare-root.conf", "readonly", "perhaps", "the configuration of ostree-prepare-root is unusable"]
    {
        ensure!(error.contains(part), "no {part:?} in {error}");
    }
    ensure!(!build.out.path().join("image").exists(), "an image was left");
    Ok(())
}

fn without_systemd_a_hook_runs_it(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?;
    let image = build.dracut("--omit 'systemd systemd-initrd dracut-systemd' --add ostree")?;
    let hooks = ["usr/lib/dracut/hooks", "var/lib/dracut/hooks"];
    let mut hook = hooks.iter().map(|hooks| image.path(&format!("{hooks}/pre-pivot/00-ostree-prepare-root.sh")));
    ensure!(hook.any(|path| path.exists()), "no hook in the image");
    // Without it dracut 059 unmounts a physical root, which has no /proc, before ours is reached.
    let mut hook = hooks.iter().map(|hooks| image.path(&format!("{hooks}/pre-mount/00-ostree-usable-root.sh")));
    ensure!(hook.any(|path| path.exists()), "no hook for the check of the root in the image");
    ensure!(!image.path("usr/lib/systemd/systemd").exists(), "systemd is in the image");
    Ok(())
}
