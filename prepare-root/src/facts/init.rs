//! Where the init of the new root is.

/// This program executes it as PID 1, and a script usually does, too.
pub(crate) const INIT: &str = "/sbin/init";

/// Without `init=` systemd executes its own path in the new root, and `/sbin/init` only if that fails.
pub(crate) const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// The name of this program: `init=` with it starts this program as PID 1, and is not the init of the new root.
const OUR_NAME: &str = "ostree-prepare-root";

/// The init that `init=` names, whose value is `argument`.
pub(crate) fn named(argument: Option<String>) -> Option<String> {
    argument.filter(|path| path.starts_with('/') && path.rsplit('/').next() != Some(OUR_NAME))
}
