//! The end of a boot that failed.

use rustix::io::Errno;
use rustix::system::RebootCommand;

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Start again.
    Reboot,
    /// Stay off.
    Off,
}

/// Writes out what is unwritten and leaves, at once and without asking anyone. Returns only when the kernel refuses.
pub fn leave(power: Power) -> Errno {
    rustix::fs::sync();
    let command = match power {
        Power::Reboot => RebootCommand::Restart,
        Power::Off => RebootCommand::PowerOff,
    };
    rustix::system::reboot(command).err().unwrap_or(Errno::IO)
}
