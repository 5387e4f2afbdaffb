//! SELinux policies as Debian packages them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::cache::{Cache, Recipe};
use crate::command::run;
use crate::guest::Guest;

/// The packages: each makes `file_contexts` of its modules when it is installed.
const PACKAGES: &str = "selinux-policy-default,selinux-policy-mls";

/// Names of the policies, which are directories below `/etc/selinux`.
pub const NAMES: [&str; 2] = ["default", "mls"];

/// The archive could not install them.
#[derive(Debug)]
struct NotInstallable(Guest);

impl fmt::Display for NotInstallable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: its SELinux policies cannot be installed from the mirror", self.0)
    }
}

/// Why the policies of `guest` cannot be had today, if it is of a release that moves and the archive is to blame; anything else is
/// for [`Policies::of`] to report, as a failure.
pub fn why_not_installable(guest: Guest) -> Option<String> {
    if !guest.moves() {
        return None;
    }
    let error = Cache::open().and_then(|cache| Policies::of(guest, &cache)).err()?;
    let reason = error.downcast_ref::<NotInstallable>().map(ToString::to_string)?;
    eprintln!("{error:#}");
    Some(reason)
}

/// The policies of one release.
#[derive(Clone, Debug)]
pub struct Policies {
    directory: PathBuf,
}

impl Policies {
    /// Those of `guest`, installed if the cache has none. Debian 12 has no policy.
    pub fn of(guest: Guest, cache: &Cache) -> Result<Policies> {
        let recipe = Recipe::new(include_str!("policies.rs")).with("suite", guest.suite()).with("packages", PACKAGES);
        let downloads = cache.directory(&format!("downloads-{guest}"))?;
        let artefact = cache.artefact(&format!("policies-{guest}"), &recipe, |directory| {
            // It has the same downloads.
            let _lock = cache.lock(&format!("rootfs-{guest}"))?;
            install(guest, directory, &downloads)
        })?;
        Ok(Policies { directory: artefact.path().join("selinux") })
    }

    /// The directory `contexts/files` of the policy of that name.
    pub fn files(&self, name: &str) -> PathBuf {
        self.directory.join(name).join("contexts/files")
    }
}

/// The rest of the system in which they were installed is not kept.
fn install(guest: Guest, directory: &Path, downloads: &Path) -> Result<()> {
    let root = directory.join("root");
    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--variant=minbase", "--include", PACKAGES])
        // Testing's Release file can be past its date on a mirror that is a snapshot.
        .args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\""])
        .args(["--aptopt=APT::Install-Recommends \"false\"", "--dpkgopt=force-unsafe-io"])
        .args(["--skip=download/empty", "--skip=essential/unlink"])
        .arg("--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives")
        .arg(format!("--setup-hook=sync-in {} /var/cache/apt/archives", downloads.display()))
        .arg(format!("--customize-hook=sync-out /var/cache/apt/archives {}", downloads.display()))
        .arg(guest.suite())
        .arg(&root)
        .arg(apt::mirror()?);
    run(&mut command).context(NotInstallable(guest))?;
    fs::rename(root.join("etc/selinux"), directory.join("selinux")).context("keeping /etc/selinux")?;
    fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))
}
