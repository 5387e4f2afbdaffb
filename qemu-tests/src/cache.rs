//! Things that take long to make, made once.
//!
//! An artefact is a directory named after the hash of its recipe: everything that decides what is in it, and that
//! includes the source text of the module that makes it and the keys of the artefacts it is made from. It is built under
//! another name and renamed into place, so that what is there under its name is complete.
//!
//! The cache is outside of the checkout: a second checkout finds what the first one has made. What belongs to one checkout (consoles
//! and reports of its runs) is in its own [`directory_of_this_checkout`].

use std::ffi::OsString;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};

/// Overrides where the cache is.
pub const CACHE_VARIABLE: &str = "FIRSTROOT_CACHE";

/// Of a hash that are in a name.
const KEY_BYTES: usize = 8;
/// How many artefacts of one name are kept, however old: the one in use, and one to go back to.
const KEPT: usize = 2;
/// What was asked for so recently may be in use, by another checkout that makes the same thing of another recipe: no run takes so long.
const IN_USE: Duration = Duration::from_secs(6 * 3600);
/// What nobody has asked for so long goes, whatever its name: names change, too.
const FORGOTTEN: Duration = Duration::from_secs(14 * 24 * 3600);

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
        digest.iter().take(KEY_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Cache {
    /// The directory that `FIRSTROOT_CACHE` names, else `firstroot` where this user's caches are.
    pub fn open() -> Result<Cache> {
        let directory = place(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
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
        self.prune(name, SystemTime::now())?;
        Ok(artefact)
    }

    /// Two processes that want the same thing: the second waits and then finds it.
    pub(crate) fn lock(&self, name: &str) -> Result<Flock<File>> {
        let path = self.lock_file(name);
        Flock::lock(open(&path)?, FlockArg::LockExclusive)
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("locking {}", path.display()))
    }

    fn lock_file(&self, name: &str) -> PathBuf {
        self.directory.join(format!(".lock-{name}"))
    }

    /// Removes the artefacts of this name that were asked for longest ago, and those of any name that were forgotten. `name` is locked.
    fn prune(&self, name: &str, now: SystemTime) -> Result<()> {
        let mut of_this_name = Vec::new();
        for entry in fs::read_dir(&self.directory).context("listing the cache")? {
            let entry = entry.context("listing the cache")?;
            let file_name = entry.file_name().to_string_lossy().into_owned();
            let Some(owner) = name_of(&file_name) else { continue };
            // Another one may just have removed it.
            let Ok(used) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
            let age = now.duration_since(used).unwrap_or_default();
            if owner == name {
                of_this_name.push((age, entry.path()));
            } else if age > FORGOTTEN
                && let Ok(_lock) = Flock::lock(open(&self.lock_file(owner))?, FlockArg::LockExclusiveNonblock)
            {
                remove(&entry.path())?;
            }
        }
        of_this_name.sort();
        for (age, path) in of_this_name.into_iter().skip(KEPT) {
            if age > IN_USE {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Where the cache is, as the environment says. Programs that run as root without a home have `/var/cache`.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let of_this_user = || {
        let home = || Some(PathBuf::from(variable("HOME")?).join(".cache"));
        let directory = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
        directory.unwrap_or_else(|| PathBuf::from("/var/cache")).join("firstroot")
    };
    variable(CACHE_VARIABLE).map_or_else(of_this_user, PathBuf::from)
}

/// A directory below `target` of this workspace, for what is no artefact: consoles and reports of runs.
pub fn directory_of_this_checkout(name: &str) -> Result<PathBuf> {
    let directory = workspace().join("target/qemu-tests").join(name);
    fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    directory.canonicalize().with_context(|| format!("finding {}", directory.display()))
}

/// The name of the artefact in the directory `file_name`. A key has no `-`, so that `tree-trixie` does not take `tree-trixie-ours-…` for
/// one of its own.
fn name_of(file_name: &str) -> Option<&str> {
    let (name, key) = file_name.rsplit_once('-')?;
    let is_key = key.len() == 2 * KEY_BYTES && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_key && !name.starts_with('.')).then_some(name)
}

fn open(lock: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(lock);
    file.with_context(|| format!("opening {}", lock.display()))
}

/// The root of the cargo workspace.
pub fn workspace() -> PathBuf {
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

    fn number_of_artefacts(directory: &tempfile::TempDir) -> usize {
        let things = fs::read_dir(directory.path()).unwrap().flatten();
        things.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
    }

    #[test]
    fn the_oldest_go_when_nobody_can_be_using_them() {
        let (directory, cache) = cache();
        for value in ["1", "2", "3", "4"] {
            cache.artefact("thing", &Recipe::new(value), |_| Ok(())).unwrap();
        }
        // Another checkout may have asked for the first one an hour ago.
        assert_eq!(number_of_artefacts(&directory), 4);
        cache.prune("thing", SystemTime::now() + 2 * IN_USE).unwrap();
        assert_eq!(number_of_artefacts(&directory), KEPT);
    }

    #[test]
    fn what_is_forgotten_goes_unless_it_is_being_asked_for() {
        let (directory, cache) = cache();
        for name in ["thing", "other-thing", "wanted"] {
            cache.artefact(name, &Recipe::new(""), |_| Ok(())).unwrap();
        }
        fs::create_dir(directory.path().join("downloads-trixie")).unwrap();
        let _lock = cache.lock("wanted").unwrap();
        cache.prune("thing", SystemTime::now() + 2 * FORGOTTEN).unwrap();
        let left = |name: &str| directory.path().join(format!("{name}-{}", Recipe::new("").key())).exists();
        assert_eq!([left("thing"), left("other-thing"), left("wanted")], [true, false, true]);
        assert!(directory.path().join("downloads-trixie").exists());
    }

    #[test]
    fn it_is_where_caches_are() {
        let place_with = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(known, _)| *known == name);
            place(|name| find(name).map(|(_, value)| OsString::from(value))).display().to_string()
        };
        assert_eq!(place_with(&[]), "/var/cache/firstroot");
        assert_eq!(place_with(&[("HOME", "/root")]), "/root/.cache/firstroot");
        assert_eq!(place_with(&[("HOME", "/root"), ("XDG_CACHE_HOME", "/caches")]), "/caches/firstroot");
        assert_eq!(place_with(&[("HOME", "/root"), ("XDG_CACHE_HOME", "relative")]), "/root/.cache/firstroot");
        assert_eq!(place_with(&[("HOME", "/root"), (CACHE_VARIABLE, "/mine")]), "/mine");
    }
}
