//! What follows the report of a failed boot.

use std::time::Duration;

use ostree_formats::prepare_root_conf::OnFailure;
use system::power::{self, Power};

/// How long the report stays on the console before the machine leaves.
const PAUSE: Duration = Duration::from_secs(10);

/// What will happen. Somebody who asked for a shell sits at the machine; and without a configuration that could be read,
/// nobody asked for anything else than the default.
pub(crate) fn decide(configured: Option<OnFailure>, wants_shell: bool) -> OnFailure {
    if wants_shell { OnFailure::Emergency } else { configured.unwrap_or_default() }
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
