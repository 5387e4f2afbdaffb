//! What happens after the report of a failed boot.

use std::time::Duration;

use ostree_formats::prepare_root_conf::OnFailure;
use system::log::Stderr;
use system::power::{self, Power};
use system::proc::Proc;

use crate::facts::Caller;
use crate::read::running_system::root_of_running_system;

/// How long the report stays on the console before a reboot or power-off.
const PAUSE: Duration = Duration::from_secs(10);

/// What will happen. A user who requested a shell, or who runs the program by hand, is at the machine and gets a shell. A
/// configuration that cannot be read means the default. A boot that is counted is tried again, until the boot loader takes another one.
pub(crate) fn decide(configured: Option<OnFailure>, user_is_present: bool, is_trial: bool) -> OnFailure {
    let default = if is_trial { OnFailure::Reboot } else { OnFailure::default() };
    if user_is_present { OnFailure::Emergency } else { configured.unwrap_or(default) }
}

/// Whether a user runs the program at a prompt: in a running system, or in an initramfs with systemd if standard error is a
/// console (that of the unit is the journal). In an initramfs without systemd this cannot be known, so it counts as a boot.
pub(crate) fn runs_by_hand(caller: Caller) -> bool {
    match caller {
        Caller::Systemd => Stderr::of_this_process() == Stderr::Console || a_system_runs(),
        Caller::Script => a_system_runs(),
        Caller::Pid1 => false,
    }
}

/// Whether this is a running system and no boot.
pub(crate) fn a_system_runs() -> bool {
    // If this is unknown, nothing is rebooted.
    !matches!(Proc::open().and_then(|proc| root_of_running_system(&proc)), Ok(None))
}

/// Reboots or powers off. Returns for [`OnFailure::Emergency`], and if the kernel refuses. `is_configured`: not because of a trial.
pub(crate) fn act(on_failure: OnFailure, is_configured: bool) {
    let (power, doing) = match on_failure {
        OnFailure::Emergency => return,
        OnFailure::Reboot => (Power::Reboot, "rebooting"),
        OnFailure::Poweroff => (Power::Off, "powering off"),
    };
    let why = if is_configured { "[boot] on-failure in prepare-root.conf" } else { "this deployment is on trial" };
    log::error!("{doing} in {} seconds ({why})", PAUSE.as_secs());
    std::thread::sleep(PAUSE);
    let refused = power::leave(power);
    log::error!("{doing} failed: {refused}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_requested_a_shell_gets_one() {
        assert_eq!(decide(Some(OnFailure::Reboot), false, false), OnFailure::Reboot);
        assert_eq!(decide(Some(OnFailure::Reboot), true, true), OnFailure::Emergency);
        assert_eq!(decide(None, false, false), OnFailure::Emergency);
        assert_eq!(decide(None, false, true), OnFailure::Reboot);
        assert_eq!(decide(Some(OnFailure::Poweroff), false, true), OnFailure::Poweroff);
    }
}
