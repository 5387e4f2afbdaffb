//! Whether a deployment would become the root, with what its initramfs demands.

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::{ComposefsMode, Parsed, PrepareRootConf};
use prepare_root::inspect::{self, Answer};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::model::Finding;
use crate::initramfs::{Contents, PrepareRoot};
use crate::place::{Place, as_root};
use crate::read::menu::MenuEntry;

const REBUILD: &str =
    "boot another entry, and build the initramfs again: dracut --force, or the image that it comes with";

/// What an initramfs demands.
#[derive(Debug, Clone, Default)]
pub(super) struct Demanded {
    /// `None`: that of the deployment counts, because the initramfs is not known.
    pub(super) conf: Option<PrepareRootConf>,
    /// The program, in words.
    pub(super) prepare_root: Option<String>,
}

/// What the initramfs demands, and what is wrong with it.
pub(super) fn demanded(contents: &Contents, entry: &str) -> (Demanded, Vec<Finding>) {
    let mut found = Vec::new();
    let about = format!("the initramfs of {entry}");
    let prepare_root = match contents.prepare_root() {
        Some(PrepareRoot { path, firstroot, is_executable }) => {
            if !is_executable {
                found.push(Finding::bad(&about, format!("{path} in it cannot be executed"), REBUILD.to_owned()));
            }
            let whose = firstroot.as_ref().map_or("libostree".to_owned(), |version| format!("firstroot {version}"));
            Some(format!("{path} ({whose})"))
        }
        None => {
            let text = "there is no ostree-prepare-root in it, so the deployment would not become the root".to_owned();
            found.push(Finding::bad(&about, text, REBUILD.to_owned()));
            None
        }
    };
    let Parsed { conf, errors, .. } = match contents.configuration() {
        Ok(parsed) => parsed,
        Err(error) => {
            found.push(Finding::unknown(&about, error, "look into it: lsinitrd".to_owned()));
            return (Demanded { conf: None, prepare_root }, found);
        }
    };
    for error in &errors {
        found.push(Finding::bad(&about, format!("its configuration has an error: {error}"), REBUILD.to_owned()));
    }
    if conf.composefs == ComposefsMode::Signed && !contents.has(&conf.composefs_keypath) {
        let text = format!("signatures are demanded, but there is no file of keys {} in it", conf.composefs_keypath);
        found.push(Finding::bad(&about, text, REBUILD.to_owned()));
    }
    (Demanded { conf: Some(conf), prepare_root }, found)
}

/// Without an initramfs the kernel starts the program on the disk.
pub(super) fn without_initramfs(entry: &MenuEntry) -> (Demanded, Vec<Finding>) {
    let is_prepare_root = |init: &str| init.rsplit('/').next() == Some("ostree-prepare-root");
    if entry.kargs.get("init").is_some_and(is_prepare_root) {
        return (Demanded::default(), Vec::new());
    }
    let text =
        "it has neither an initramfs nor init= with ostree-prepare-root: who prepares the root is unknown".to_owned();
    (Demanded::default(), vec![Finding::unknown(&entry.path, text, "build the tree with an initramfs".to_owned())])
}

/// Whether the deployment would become the root, and has an init.
pub(super) fn findings(
    place: &Place,
    path: &DeploymentPath,
    demanded: &Demanded,
    argument: Option<&str>,
    init: Option<&str>,
) -> Vec<Finding> {
    let shown = format!("/{path}");
    let directory = match dir::open(&place.roots.sysroot, path.to_string(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(directory) => directory,
        Err(error) => return vec![Finding::unknown(&shown, format!("it cannot be opened: {error}"), as_root())],
    };
    let mut found = Vec::new();
    let own = inspect::configuration(&directory);
    if demanded.conf.is_none() {
        let errors = own.errors.iter();
        let of_error = |error| {
            Finding::unknown(&shown, format!("its configuration has an error: {error}"), "mend the file".to_owned())
        };
        found.extend(errors.map(of_error));
    }
    let conf = demanded.conf.as_ref().unwrap_or(&own.conf);
    let deploy = "boot another entry; ostree fsck; ostree admin deploy REF".to_owned();
    match inspect::would_mount(&place.physical, path, conf, argument) {
        Answer::Good(_) => {}
        Answer::Bad(text) => found.push(Finding::bad(&shown, text, deploy.clone())),
        Answer::Unknown(text) => found.push(Finding::unknown(&shown, text, as_root())),
    }
    let init = init.filter(|init| !init.ends_with("/ostree-prepare-root")).unwrap_or("/sbin/init");
    match dir::open(&directory, init, OFlags::PATH).and_then(dir::stat_fd) {
        Ok(stat) if stat.kind == Kind::File && stat.mode & 0o111 != 0 && stat.size > 0 => {}
        Ok(_) => found.push(Finding::bad(&shown, format!("its {init} is not a program"), deploy)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            found.push(Finding::bad(&shown, format!("it has no {init}"), deploy));
        }
        Err(error) => found.push(Finding::unknown(&shown, format!("{init} cannot be looked up: {error}"), as_root())),
    }
    found
}
