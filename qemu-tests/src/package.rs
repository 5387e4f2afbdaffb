//! Our own files, as a distribution would package them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use crate::cache::{Recipe, directory_of_this_checkout, workspace};
use crate::command::run;

/// Names a directory tree that `cargo xtask install` has filled; without it, that command is run.
pub const DESTDIR_VARIABLE: &str = "FIRSTROOT_DESTDIR";

/// Where prepare-root is in an initramfs, and where libostree's is in the tree: the path at which all of its users expect it.
pub const PREPARE_ROOT: &str = "usr/lib/ostree/ostree-prepare-root";

/// Where ours is in the tree.
pub const INSTALLED_PREPARE_ROOT: &str = "usr/lib/firstroot/ostree-prepare-root";

/// Whose files are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// This project.
    Ours,
    /// libostree, as the guest packages it.
    Peer,
    /// This project's package for Debian, installed beside libostree's. The tree has a second branch, where it is removed again.
    Deb,
    /// The same with the package for Fedora.
    Rpm,
}

impl Provider {
    /// For names of artefacts and tests.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Ours => "ours",
            Provider::Peer => "peer",
            Provider::Deb => "deb",
            Provider::Rpm => "rpm",
        }
    }
}

/// A tree of our files that is laid over a guest's root filesystem.
#[derive(Clone, Debug)]
pub struct Package {
    root: PathBuf,
}

impl Package {
    /// The tree that `FIRSTROOT_DESTDIR` names, or else one that is made now, once in a process.
    pub fn find() -> Result<Package> {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        if let Some(root) = MADE.get() {
            return Ok(Package { root: root.clone() });
        }
        let root = match std::env::var_os(DESTDIR_VARIABLE) {
            Some(root) => PathBuf::from(root),
            None => install(&directory_of_this_checkout("destdir")?)?,
        };
        let root = root.canonicalize().with_context(|| format!("finding {}", root.display()))?;
        Ok(Package { root: MADE.get_or_init(|| root).clone() })
    }

    /// The one that was installed below `root`.
    pub fn at(root: &Path) -> Package {
        Package { root: root.to_path_buf() }
    }

    /// The tree.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The paths of its files, from its root.
    pub fn paths(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        collect(&self.root, &mut files)?;
        files.sort();
        let name = |path: &PathBuf| path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
        Ok(files.iter().map(name).collect())
    }

    /// Adds every file of it to a recipe.
    pub fn add_to(&self, mut recipe: Recipe) -> Result<Recipe> {
        for name in self.paths()? {
            let path = self.root.join(&name);
            let metadata = path.symlink_metadata().with_context(|| format!("looking at {}", path.display()))?;
            recipe = recipe.with("mode", metadata.mode().to_le_bytes());
            recipe = if metadata.is_symlink() {
                let target = fs::read_link(&path).with_context(|| format!("reading {}", path.display()))?;
                recipe.with(&name, target.as_os_str().as_encoded_bytes())
            } else {
                recipe.with(&name, fs::read(&path).with_context(|| format!("reading {}", path.display()))?)
            };
        }
        Ok(recipe)
    }
}

/// Names a directory with the packages that `cargo xtask package` has built; without it, that command is run.
pub const PACKAGES_VARIABLE: &str = "FIRSTROOT_PACKAGES";

/// The packages of this project, built once in a process.
///
/// # Errors
/// They cannot be built.
pub fn built_packages() -> Result<Vec<PathBuf>> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if BUILT.get().is_none() {
        let directory = match std::env::var_os(PACKAGES_VARIABLE) {
            Some(directory) => PathBuf::from(directory),
            None => {
                xtask(&["package"])?;
                workspace().join("target/package")
            }
        };
        let _ = BUILT.set(directory);
    }
    let directory = BUILT.get().context("the packages")?;
    let mut paths = Vec::new();
    collect(directory, &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn install(destdir: &Path) -> Result<PathBuf> {
    // What an earlier version installed must not stay.
    fs::remove_dir_all(destdir).with_context(|| format!("removing {}", destdir.display()))?;
    xtask(&["install".as_ref(), destdir.as_os_str()])?;
    Ok(destdir.to_path_buf())
}

fn xtask(arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "xtask", "--"]).args(arguments).current_dir(workspace());
    run(&mut command).map(drop)
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
        if entry.file_type().context("asking for a file's type")?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
