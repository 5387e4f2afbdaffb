//! Reading `prepare-root.conf` and its drop-ins below a root directory.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::prepare_root_conf::{self, ConfError, ConfigFile, DropIn, Layer, Parsed, Problem};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;

/// Far more than any configuration; a file of this size is a mistake, and memory is short in an initramfs.
const LIMIT: u64 = 1 << 20;

/// The target of a link that switches a file off.
const MASK: &str = "/dev/null";

/// Main files, the one that counts first.
const MAIN: [&str; 2] = ["etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf"];

fn drop_in_directory(layer: Layer) -> &'static str {
    match layer {
        Layer::Usr => "usr/lib/ostree/prepare-root.conf.d",
        Layer::Etc => "etc/ostree/prepare-root.conf.d",
    }
}

/// A file's content; `None` if the name does not exist. A link to `/dev/null` is an empty file, even if there is no `/dev` yet:
/// this is how the UAPI Group's specification switches a configuration file off. Any other dangling link is a mistake in the
/// initramfs and must not make another file count.
fn file(root: BorrowedFd<'_>, path: &str) -> Result<Option<Vec<u8>>, String> {
    match dir::read_no_link(root, path, LIMIT) {
        Ok(bytes) => return Ok(Some(bytes)),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {}
        Err(error) => return Err(error.to_string()),
    }
    let link = dir::open(root, path, OFlags::PATH | OFlags::NOFOLLOW).and_then(|link| dir::read_link(link, ""));
    let target = link.map_err(|error| error.to_string())?;
    if target == MASK {
        return Ok(Some(Vec::new()));
    }
    match dir::read(root, path, LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::NOENT) => Err(format!("it is a link to {target}, which does not exist")),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads the configuration below `root`: the initramfs, or as PID 1 the deployment.
///
/// A file that exists but cannot be read is an error of the configuration like any other.
pub(crate) fn load(root: impl AsFd) -> Parsed {
    let mut unreadable = Vec::new();
    let mut read = |path: String| match file(root.as_fd(), &path) {
        Ok(bytes) => bytes.map(|bytes| ConfigFile { path: format!("/{path}"), bytes }),
        Err(reason) => {
            unreadable.push(ConfError { path: format!("/{path}"), problem: Problem::Unreadable(reason) });
            None
        }
    };
    let [etc, usr] = MAIN;
    // The administrator's file replaces the distribution's completely, even if it cannot be read.
    let main = read(etc.to_owned()).or_else(|| read(usr.to_owned()));
    let mut found = Vec::new();
    let mut unlistable = Vec::new();
    for layer in [Layer::Usr, Layer::Etc] {
        match dir::names(root.as_fd(), drop_in_directory(layer)) {
            Ok(names) => found.extend(names.into_iter().map(|name| (layer, name))),
            Err(Errno::NOENT) => {}
            Err(error) => unlistable.push(ConfError {
                path: format!("/{}", drop_in_directory(layer)),
                problem: Problem::Unreadable(error.to_string()),
            }),
        }
    }
    let order = prepare_root_conf::drop_in_order(found).into_iter();
    let drop_ins: Vec<ConfigFile> =
        order.filter_map(|DropIn { layer, name }| read(format!("{}/{name}", drop_in_directory(layer)))).collect();
    let mut parsed = prepare_root_conf::parse(main.as_ref(), &drop_ins);
    parsed.errors.extend(unreadable.into_iter().chain(unlistable));
    parsed
}
