//! Reboots or powers off after a failed boot.

use rustix::io::Errno;
use rustix::system::RebootCommand;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start again.
    Reboot,
    /// Stay off.
    Off,
}

/// Syncs all filesystems and reboots or powers off immediately. Returns only if the kernel refuses.
pub fn leave(power: Power) -> Errno {
    rustix::fs::sync();
    let command = match power {
        Power::Reboot => RebootCommand::Restart,
        Power::Off => RebootCommand::PowerOff,
    };
    rustix::system::reboot(command).err().unwrap_or(Errno::IO)
}
