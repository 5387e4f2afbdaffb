//! A guest's root filesystem: Debian packages, and the agent that runs tests in it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::cache::{Artefact, Cache, Recipe};
use crate::command::{run, run_with_input};
use crate::guest::Guest;

const FINISH: &str = include_str!("../guest/finish-rootfs.sh");
/// What a guest with SELinux needs behind that.
const FINISH_SELINUX: &str = include_str!("../guest/finish-selinux.sh");

/// Files that are put into the guest: path, content, mode.
const FILES: &[(&str, &str, u32)] = &[
    ("usr/lib/firstroot-agent", include_str!("../guest/agent.sh"), 0o755),
    ("usr/lib/systemd/system/firstroot-agent.service", include_str!("../guest/firstroot-agent.service"), 0o644),
    ("usr/lib/systemd/system/firstroot-console.service", include_str!("../guest/firstroot-console.service"), 0o644),
];

/// Modules of a policy that are put into a guest with SELinux, and wait there to be installed.
const POLICY_MODULES: &[(&str, &str, u32)] = &[
    ("usr/share/firstroot/firstroot-guest.cil", include_str!("../guest/firstroot-guest.cil"), 0o644),
    ("usr/share/firstroot/newer-policy.cil", include_str!("../guest/newer-policy.cil"), 0o644),
];

/// Units of ours that are wanted by `multi-user.target`. Each has a condition and does nothing unless asked for.
const WANTED: &[&str] = &["firstroot-agent.service", "firstroot-console.service"];

/// What is left out of packages: nobody reads manual pages there, and each file is copied several times.
const EXCLUDED: &[&str] = &["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];

/// The archive could not install a guest. Of a release that moves that is no fault of this project.
#[derive(Debug)]
struct NotInstallable(Guest);

impl fmt::Display for NotInstallable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: its packages cannot be installed from the mirror", self.0)
    }
}

/// Why `guest` cannot be made today, if it is of a release that moves and the archive is to blame; anything else is for
/// [`Rootfs::of`] to report, as a failure.
pub fn why_not_installable(guest: Guest) -> Option<String> {
    if !guest.moves() {
        return None;
    }
    let error = Cache::open().and_then(|cache| Rootfs::of(guest, &cache)).err()?;
    let reason = error.downcast_ref::<NotInstallable>().map(ToString::to_string)?;
    eprintln!("{error:#}");
    Some(reason)
}

/// A root filesystem as a directory tree.
#[derive(Clone, Debug)]
pub struct Rootfs {
    artefact: Artefact,
    guest: Guest,
}

impl Rootfs {
    /// The root filesystem of `guest`, installed if the cache has none.
    pub fn of(guest: Guest, cache: &Cache) -> Result<Rootfs> {
        let mut recipe =
            Recipe::new(include_str!("rootfs.rs")).with("suite", guest.suite()).with("packages", packages(guest));
        recipe = recipe.with("finish", finish(guest));
        for (path, content, _) in files(guest) {
            recipe = recipe.with(path, content);
        }
        let downloads = cache.directory(&format!("downloads-{}", guest.suite()))?;
        let name = format!("rootfs-{guest}");
        let artefact = cache.artefact(&name, &recipe, |directory| install(guest, directory, &downloads))?;
        Ok(Rootfs { artefact, guest })
    }

    /// Its root directory. Nothing may be changed in it: see [`crate::namespace::Namespace`].
    pub fn path(&self) -> PathBuf {
        root_in(self.artefact.path())
    }

    /// The artefact, for recipes.
    pub fn artefact(&self) -> &Artefact {
        &self.artefact
    }

    /// Whose it is.
    pub fn guest(&self) -> Guest {
        self.guest
    }

    /// The version of its kernel, as in the path of its modules.
    pub fn kernel_version(&self) -> Result<String> {
        let modules = self.path().join("usr/lib/modules");
        let mut versions = fs::read_dir(&modules).with_context(|| format!("listing {}", modules.display()))?;
        let first = versions.next().with_context(|| format!("no kernel in {}", modules.display()))?;
        Ok(first.context("listing kernels")?.file_name().to_string_lossy().into_owned())
    }
}

fn root_in(artefact: &Path) -> PathBuf {
    artefact.join("root")
}

fn packages(guest: Guest) -> String {
    guest.packages().join(",")
}

fn files(guest: Guest) -> impl Iterator<Item = &'static (&'static str, &'static str, u32)> {
    let modules = if guest.has_selinux() { POLICY_MODULES } else { &[] };
    FILES.iter().chain(modules)
}

fn finish(guest: Guest) -> String {
    let selinux = if guest.has_selinux() { FINISH_SELINUX } else { "" };
    format!("{FINISH}{selinux}")
}

fn install(guest: Guest, directory: &Path, downloads: &Path) -> Result<()> {
    let root = root_in(directory);
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--variant=minbase", "--include", &packages(guest)])
        // Testing's Release file can be past its date on a mirror that is a snapshot.
        .args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\""])
        .args(["--aptopt=APT::Install-Recommends \"false\""])
        // The directory counts when it is whole: nobody needs each file to be on the disk before the next one.
        .arg("--dpkgopt=force-unsafe-io")
        .args(EXCLUDED.iter().map(|pattern| format!("--dpkgopt=path-exclude={pattern}")))
        // Downloads outlive the build.
        .args(["--skip=download/empty", "--skip=essential/unlink"])
        .arg("--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives")
        .arg(format!("--setup-hook=sync-in {} /var/cache/apt/archives", downloads.display()))
        .arg(format!("--customize-hook=sync-out /var/cache/apt/archives {}", downloads.display()))
        .arg(guest.suite())
        .arg(&root)
        .arg(apt::mirror()?)
        // The kernel's package would make an initramfs; ours are made later, of other things.
        .env("INITRD", "No");
    run(&mut command).context(NotInstallable(guest))?;
    for (path, content, mode) in files(guest) {
        write(&root.join(path), content, *mode)?;
    }
    let wants = root.join("usr/lib/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).context("creating multi-user.target.wants")?;
    for unit in WANTED {
        std::os::unix::fs::symlink(format!("../{unit}"), wants.join(unit))
            .with_context(|| format!("enabling {unit}"))?;
    }
    run_with_input(Command::new("sh").args(["-s", "--"]).arg(&root), &finish(guest)).map(drop)
}

fn write(path: &Path, content: &str, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let parent = path.parent().with_context(|| format!("{} has no directory", path.display()))?;
    fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("mode of {}", path.display()))
}
