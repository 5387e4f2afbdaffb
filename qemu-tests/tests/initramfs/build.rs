//! A guest whose generator makes an initramfs, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::initramfs_tools;
use qemu_tests::namespace::Namespace;
use qemu_tests::package::{INSTALLED_PREPARE_ROOT, PREPARE_ROOT, Package};
use qemu_tests::rootfs::Rootfs;
use tempfile::TempDir;

/// What runs prepare-root in an initramfs with systemd.
pub(crate) const UNIT: &str = "ostree-prepare-root.service";

/// What else such an initramfs has of ours: units that reboot if it does not get done on trial, or ends at a prompt.
const OF_A_TRIAL: [&str; 4] = [
    "firstroot-trial-timeout.timer",
    "firstroot-trial-timeout.service",
    "firstroot-trial-emergency.timer",
    "firstroot-trial-emergency.service",
];

/// What starts them.
const LINKS: [(&str, &str); 3] = [
    ("initrd-root-fs.target.requires", UNIT),
    ("initrd.target.wants", OF_A_TRIAL[0]),
    ("emergency.service.wants", OF_A_TRIAL[3]),
];

/// Where the tree has the keys of its image.
const KEY: &str = "usr/share/keys/image.pub";

/// A guest with our package over it, in which a generator runs.
pub(crate) struct Build {
    pub(crate) rootfs: Rootfs,
    pub(crate) package: Package,
    /// Files of the administrator, laid over both.
    extra: TempDir,
    pub(crate) out: TempDir,
}

/// An initramfs, unpacked; there as long as its build.
pub(crate) struct Image<'a> {
    pub(crate) root: PathBuf,
    build: &'a Build,
}

impl Build {
    pub(crate) fn on(guest: Guest) -> Result<Build> {
        let cache = Cache::open()?;
        Ok(Build {
            rootfs: Rootfs::of(guest, &cache)?,
            package: Package::find()?,
            extra: tempfile::tempdir()?,
            out: tempfile::tempdir()?,
        })
    }

    pub(crate) fn with_file(self, path: &str, content: &str) -> Result<Build> {
        let path = self.extra.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        fs::write(path, content)?;
        Ok(self)
    }

    pub(crate) fn with_link(self, path: &str, target: &str) -> Result<Build> {
        let path = self.extra.path().join(path);
        fs::create_dir_all(path.parent().context("a file has a directory")?)?;
        std::os::unix::fs::symlink(target, path)?;
        Ok(self)
    }

    /// With everything that an initramfs takes from the tree.
    pub(crate) fn configured(guest: Guest) -> Result<Build> {
        // A group may be repeated.
        let conf = format!("[sysroot]\nreadonly=true\n[composefs]\nenabled=no\n[composefs]\nkeypath=/{KEY}\n");
        Build::on(guest)?
            .with_file("etc/ostree/prepare-root.conf", &conf)?
            .with_file("etc/ostree/prepare-root.conf.d/20-device.conf", "[boot]\non-failure=reboot\n")?
            .with_file("usr/lib/ostree/prepare-root.conf.d/30-image.conf", "[boot]\nrecover=no\n")?
            .with_file(KEY, "key\n")
    }

    /// The guest, with our package and the administrator's files over it; `/out` in it is kept.
    fn namespace(&self) -> Namespace {
        let namespace = Namespace::of(&self.rootfs.path());
        let namespace = namespace.overlaid_with(self.package.path()).overlaid_with(self.extra.path());
        namespace.bound(self.out.path(), "/out")
    }

    /// The image of dracut, with nothing but our module and what it stands on; an error carries what dracut said.
    pub(crate) fn dracut(&self, options: &str) -> Result<Image<'_>> {
        self.dracut_in(&self.namespace(), options)
    }

    /// The image of initramfs-tools, with as few drivers as it can have; an error carries what mkinitramfs said.
    pub(crate) fn initramfs_tools(&self) -> Result<Image<'_>> {
        let make = initramfs_tools::made(&self.rootfs.kernel_version()?, "/out");
        self.namespace().run(&format!("echo MODULES=list >/etc/initramfs-tools/conf.d/few\n{make}"))?;
        self.unpacked(&self.out.path().join("initramfs.img"))
    }

    /// The directory that our mkinitcpio hook fills for an image with the hooks `hooks` before it, by a stand-in for mkinitcpio.
    pub(crate) fn mkinitcpio(&self, hooks: &str) -> Result<Image<'_>> {
        let script = format!("bash -s {hooks} firstroot <<'end' 2>&1\n{}\nend\n", include_str!("mkinitcpio.sh"));
        self.namespace().run(&script)?;
        Ok(Image { root: self.out.path().join("root"), build: self })
    }

    /// The same by a dracut that works on another tree than its own, as the tools do that build images.
    pub(crate) fn dracut_of_another_tree(&self) -> Result<Image<'_>> {
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
            .bound(&self.package.path().join(module), &format!("/{module}"))
            .bound(self.out.path(), "/out");
        self.dracut_in(&namespace, "--sysroot /tree --add 'systemd ostree'")
    }

    fn dracut_in(&self, namespace: &Namespace, options: &str) -> Result<Image<'_>> {
        let kernel_version = self.rootfs.kernel_version()?;
        // Without the configuration of Debian's ostree-boot: what enables our module is our own.
        namespace.run(&format!(
            "rm -f /etc/dracut.conf.d/*ostree*\n\
                 dracut --force --no-hostonly --no-early-microcode --compress cat --kver '{kernel_version}' \
                 --omit 'btrfs hwdb kernel-modules kernel-modules-extra qemu nvdimm lunmask' \
                 {options} /out/image 2>&1"
        ))?;
        self.unpacked(&self.out.path().join("image"))
    }

    fn unpacked(&self, image: &Path) -> Result<Image<'_>> {
        let root = self.out.path().join("root");
        fs::create_dir(&root)?;
        let status = Command::new("cpio")
            .args(["--quiet", "-id", "--no-absolute-filenames"])
            .stdin(fs::File::open(image)?)
            .current_dir(&root)
            .status()?;
        ensure!(status.success(), "cpio: {status}");
        Ok(Image { root, build: self })
    }
}

impl Image<'_> {
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.path(path)).with_context(|| format!("{path} in the image"))
    }

    /// Fails unless the image has our program.
    pub(crate) fn has_program(&self) -> Result<()> {
        let ours = fs::read(self.build.package.path().join(INSTALLED_PREPARE_ROOT))?;
        ensure!(fs::read(self.path(PREPARE_ROOT))? == ours, "another binary");
        Ok(())
    }

    /// Fails unless the image has our program, and all that it reads of [`Build::configured`].
    pub(crate) fn has_what_is_read(&self, guest: Guest) -> Result<()> {
        self.has_program()?;
        for (path, part) in [
            ("etc/ostree/prepare-root.conf", "[composefs]\nenabled=no\n"),
            ("etc/ostree/prepare-root.conf.d/20-device.conf", "[boot]\non-failure=reboot\n"),
            ("usr/lib/ostree/prepare-root.conf.d/30-image.conf", "[boot]\nrecover=no\n"),
            (KEY, "key\n"),
        ] {
            let text = self.read(path)?;
            ensure!(text.contains(part), "{path}: {text}");
        }
        // Debian testing's generator mounts /boot, the others' does not.
        let boot = if guest == Guest::Forky { "mount=no" } else { "mount=yes" };
        let drop_in = self.read("usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf")?;
        ensure!(drop_in.ends_with(&format!("[boot]\n{boot}\n")), "{drop_in}");
        Ok(())
    }

    /// Fails unless the target that waits for the root requires our unit, and those of a trial are started. An absolute link is as good.
    pub(crate) fn requires_unit(&self) -> Result<()> {
        self.has_unit()?;
        let units = "usr/lib/systemd/system";
        for (target, unit) in LINKS {
            let link = fs::read_link(self.path(&format!("{units}/{target}/{unit}")))?;
            ensure!(
                link == Path::new("..").join(unit) || link == Path::new("/").join(units).join(unit),
                "{}",
                link.display()
            );
        }
        Ok(())
    }

    /// Fails unless the image has the units of our package, with or without their comments.
    pub(crate) fn has_unit(&self) -> Result<()> {
        for unit in std::iter::once(UNIT).chain(OF_A_TRIAL) {
            let whole = fs::read_to_string(self.build.package.path().join("usr/lib/firstroot").join(unit))?;
            let found = self.read(&format!("usr/lib/systemd/system/{unit}"))?;
            let [found_lines, lines] = [&found, &whole].map(|text| text.lines().filter(|line| !line.starts_with('#')));
            ensure!(found_lines.eq(lines), "another unit:\n{found}");
        }
        Ok(())
    }

    /// Whether the kernel of the image can load `module`, or has it built in.
    pub(crate) fn has_module(&self, module: &str) -> Result<bool> {
        let kernels = self.path("usr/lib/modules");
        let kernel = fs::read_dir(&kernels)?.next().context("no kernel modules in the image")??.path();
        let ends = |list: &str| {
            let list = fs::read_to_string(kernel.join(list)).unwrap_or_default();
            list.lines().any(|line| line.split(':').next().unwrap_or_default().contains(&format!("/{module}.ko")))
        };
        Ok(ends("modules.dep") || ends("modules.builtin"))
    }
}
