//! Things that take long to make, made once.
//!
//! An artefact is a directory named after the hash of its recipe: everything that decides what is in it, and that
//! includes the source text of the module that makes it and the keys of the artefacts it is made from. It is built under
//! another name and renamed into place, so that what is there under its name is complete.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

/// Overrides where the cache is.
pub const CACHE_VARIABLE: &str = "FIRSTROOT_CACHE";

/// How many artefacts of one name are kept: the one in use, and one to go back to.
const KEPT: usize = 2;

/// The directory of artefacts.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// A finished artefact.
#[derive(Clone, Debug)]
pub struct Artefact {
    path: PathBuf,
    key: String,
}

impl Artefact {
    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of its recipe.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Everything that decides what is in an artefact.
#[derive(Clone, Debug)]
pub struct Recipe {
    hash: Sha256,
}

impl Recipe {
    /// Starts from the source text of the module that builds the artefact, so that a change there builds it again.
    pub fn new(source_text: &str) -> Recipe {
        Recipe { hash: Sha256::new() }.with("source", source_text)
    }

    /// Adds an input.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Recipe {
        for part in [name.as_bytes(), value.as_ref()] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            self.hash.update(part.len().to_le_bytes());
            self.hash.update(part);
        }
        self
    }

    /// Adds another artefact.
    pub fn made_from(self, artefact: &Artefact) -> Recipe {
        self.with("artefact", &artefact.key)
    }

    fn key(&self) -> String {
        let digest = self.hash.clone().finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Cache {
    /// The directory that `FIRSTROOT_CACHE` names, else `target/qemu-tests` of the workspace.
    pub fn open() -> Result<Cache> {
        let directory = match std::env::var_os(CACHE_VARIABLE) {
            Some(directory) => PathBuf::from(directory),
            None => workspace().join("target/qemu-tests"),
        };
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let directory = directory.canonicalize().with_context(|| format!("finding {}", directory.display()))?;
        Ok(Cache { directory })
    }

    /// A directory in the cache that is not an artefact: downloads, logs.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        Ok(directory)
    }

    /// The artefact of this recipe; `build` fills the (empty) directory that it is given if there is none yet.
    pub fn artefact(&self, name: &str, recipe: &Recipe, build: impl FnOnce(&Path) -> Result<()>) -> Result<Artefact> {
        let key = recipe.key();
        let path = self.directory.join(format!("{name}-{key}"));
        let artefact = Artefact { path, key };
        let _lock = self.lock(name)?;
        if artefact.path.exists() {
            touch(&artefact.path)?;
            return Ok(artefact);
        }
        let started = Instant::now();
        eprintln!("building {name} …");
        let unfinished = self.directory.join(format!(".unfinished-{name}"));
        remove(&unfinished)?;
        fs::create_dir(&unfinished).with_context(|| format!("creating {}", unfinished.display()))?;
        build(&unfinished).with_context(|| format!("building {name}"))?;
        fs::rename(&unfinished, &artefact.path).with_context(|| format!("renaming {}", unfinished.display()))?;
        touch(&artefact.path)?;
        eprintln!("building {name}: {:.1} s", started.elapsed().as_secs_f64());
        self.prune(name)?;
        Ok(artefact)
    }

    /// Two processes that want the same artefact: the second waits and then finds it.
    fn lock(&self, name: &str) -> Result<Flock<File>> {
        let path = self.directory.join(format!(".lock-{name}"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("locking {}", path.display()))
    }

    /// Removes the artefacts of this name that were used longest ago.
    fn prune(&self, name: &str) -> Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).context("listing the cache")? {
            let entry = entry.context("listing the cache")?;
            let file_name = entry.file_name().to_string_lossy().into_owned();
            // A key has no `-`, so that `tree-trixie` does not take `tree-trixie-ours-…` for one of its own.
            if file_name.rsplit_once('-').is_some_and(|(prefix, _)| prefix == name) {
                found.push((entry.metadata().context("listing the cache")?.modified()?, entry.path()));
            }
        }
        found.sort();
        for (_, path) in found.iter().rev().skip(KEPT) {
            remove(path)?;
        }
        Ok(())
    }
}

/// The root of the cargo workspace.
pub(crate) fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// An artefact's time is when it was last used: see [`Cache::prune`].
fn touch(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::now())))
        .with_context(|| format!("touching {}", directory.display()))
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache { directory: directory.path().to_path_buf() };
        (directory, cache)
    }

    #[test]
    fn builds_once_for_each_recipe() {
        let (_directory, cache) = cache();
        let mut built = 0;
        for value in ["one", "one", "two"] {
            let recipe = Recipe::new("").with("value", value);
            let artefact = cache.artefact("thing", &recipe, |path| {
                built += 1;
                Ok(fs::write(path.join("value"), value)?)
            });
            assert_eq!(fs::read_to_string(artefact.unwrap().path().join("value")).unwrap(), value);
        }
        assert_eq!(built, 2);
    }

    #[test]
    fn a_failed_build_leaves_no_artefact() {
        let (_directory, cache) = cache();
        let recipe = Recipe::new("");
        cache.artefact("thing", &recipe, |_| anyhow::bail!("no")).unwrap_err();
        let mut built = false;
        cache
            .artefact("thing", &recipe, |_| {
                built = true;
                Ok(())
            })
            .unwrap();
        assert!(built);
    }

    #[test]
    fn the_oldest_go() {
        let (directory, cache) = cache();
        for value in ["1", "2", "3", "4"] {
            cache.artefact("thing", &Recipe::new(value), |_| Ok(())).unwrap();
        }
        let things = fs::read_dir(directory.path()).unwrap().flatten();
        assert_eq!(things.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count(), KEPT);
    }
}
