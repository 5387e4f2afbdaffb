//! What follows the report of a failed boot.

use std::time::Duration;

use ostree_formats::prepare_root_conf::OnFailure;
use system::log::Stderr;
use system::power::{self, Power};
use system::proc::Proc;

use crate::facts::Caller;
use crate::read::running_system::root_of_running_system;

/// How long the report stays on the console before the machine leaves.
const PAUSE: Duration = Duration::from_secs(10);

/// What will happen. Somebody who asked for a shell, or runs the program by hand, sits at the machine; and without a
/// configuration that could be read, nobody asked for anything else than the default.
pub(crate) fn decide(configured: Option<OnFailure>, somebody_is_there: bool) -> OnFailure {
    if somebody_is_there { OnFailure::Emergency } else { configured.unwrap_or_default() }
}

/// Whether this is no boot, but somebody at a prompt: in a system that runs; or with systemd in the initramfs, whose unit has
/// the journal as standard error, while a shell has a console. A script cannot be told from a person, and counts as a boot.
pub(crate) fn runs_by_hand(caller: Caller) -> bool {
    match caller {
        Caller::Systemd => Stderr::of_this_process() == Stderr::Console || a_system_runs(),
        Caller::Script => a_system_runs(),
        Caller::Pid1 => false,
    }
}

fn a_system_runs() -> bool {
    // Where that cannot be told, nothing is rebooted.
    !matches!(Proc::open().and_then(|proc| root_of_running_system(&proc)), Ok(None))
}

/// Does it. Returns for [`OnFailure::Emergency`], and when the kernel refuses to leave.
pub(crate) fn act(on_failure: OnFailure) {
    let (power, doing) = match on_failure {
        OnFailure::Emergency => return,
        OnFailure::Reboot => (Power::Reboot, "rebooting"),
        OnFailure::Poweroff => (Power::Off, "powering off"),
    };
    log::error!("{doing} in {} seconds ([boot] on-failure in prepare-root.conf)", PAUSE.as_secs());
    std::thread::sleep(PAUSE);
    let refused = power::leave(power);
    log::error!("{doing} failed: {refused}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asked_for_a_shell_gets_one() {
        assert_eq!(decide(Some(OnFailure::Reboot), false), OnFailure::Reboot);
        assert_eq!(decide(Some(OnFailure::Reboot), true), OnFailure::Emergency);
        assert_eq!(decide(None, false), OnFailure::Emergency);
    }
}
