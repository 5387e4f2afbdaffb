//! The init of the new root.

use super::step::Step;
use crate::facts::Caller;
use crate::facts::init::{INIT, SYSTEMD, named};

/// What systemd, the kernel and scripts use if the others do not exist.
const FALLBACKS: [&str; 3] = ["/etc/init", "/bin/init", "/bin/sh"];

/// The step that reads it. `argument` is the value of `init=`; it is not used if this program executes init.
pub(super) fn require(caller: Caller, argument: Option<String>, sealed: bool) -> Step {
    let named = named(argument);
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
