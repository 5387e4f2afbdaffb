//! What the boot goes on with in the new root.

use crate::facts::Situation;
use crate::step::Step;

/// What this program executes as PID 1, and a script usually does.
pub(super) const INIT: &str = "/sbin/init";

/// What systemd, the kernel and scripts fall back to, where `/sbin/init` is not there.
const FALLBACKS: [&str; 5] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/etc/init", "/bin/init", "/bin/sh"];

/// A program as PID 1 that has done its work already, and is no init of the new root.
const OUR_NAME: &str = "ostree-prepare-root";

/// The step that reads it. `argument` is the value of `init=`, which counts where something else than this program executes init.
pub(super) fn require(situation: Situation, argument: Option<String>, sealed: bool) -> Step {
    let ours = |path: &String| path.rsplit('/').next() == Some(OUR_NAME);
    let named = argument.filter(|path| path.starts_with('/') && !ours(path));
    let candidates = match situation {
        Situation::Pid1 => vec![INIT.to_owned()],
        Situation::Systemd | Situation::Script => {
            named.into_iter().chain([INIT].into_iter().chain(FALLBACKS).map(str::to_owned)).collect()
        }
    };
    // A script can execute what it likes.
    Step::RequireInit { candidates, must_exist: situation != Situation::Script, sealed }
}
