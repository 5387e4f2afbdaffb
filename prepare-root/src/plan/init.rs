//! The init of the new root.

use super::step::Step;
use crate::facts::Caller;

/// This program executes it as PID 1, and a script usually does, too.
pub(super) const INIT: &str = "/sbin/init";

/// Without `init=` systemd executes its own path in the new root, and `/sbin/init` only if that fails.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What systemd, the kernel and scripts use if the others do not exist.
const FALLBACKS: [&str; 3] = ["/etc/init", "/bin/init", "/bin/sh"];

/// The name of this program: `init=` with it starts this program as PID 1, and is not the init of the new root.
const OUR_NAME: &str = "ostree-prepare-root";

/// The step that reads it. `argument` is the value of `init=`; it is not used if this program executes init.
pub(super) fn require(caller: Caller, argument: Option<String>, sealed: bool) -> Step {
    let ours = |path: &String| path.rsplit('/').next() == Some(OUR_NAME);
    let named = argument.filter(|path| path.starts_with('/') && !ours(path));
    let [usr, lib] = SYSTEMD;
    let before_fallbacks = match (caller, &named) {
        (Caller::Pid1, _) => return Step::RequireInit { named: None, others: vec![INIT], required: true, sealed },
        (Caller::Systemd, None) => [usr, lib, INIT],
        (Caller::Systemd, Some(_)) | (Caller::Script, _) => [INIT, usr, lib],
    };
    let others = before_fallbacks.into_iter().chain(FALLBACKS).collect();
    // A script can execute any program.
    Step::RequireInit { named, others, required: caller != Caller::Script, sealed }
}
