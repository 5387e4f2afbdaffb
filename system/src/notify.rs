//! Reports progress to the service manager (sd_notify(3)).

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// A socket to the service manager.
#[derive(Debug)]
pub struct Manager {
    socket: OwnedFd,
    address: SocketAddrUnix,
}

impl Manager {
    /// The one that started this process as a service and listens, by `$NOTIFY_SOCKET`.
    pub fn of_this_process() -> Option<Self> {
        let path = std::env::var_os("NOTIFY_SOCKET")?;
        let address = match path.as_bytes().split_first() {
            Some((b'@', name)) => SocketAddrUnix::new_abstract_name(name).ok()?,
            Some((b'/', _)) => SocketAddrUnix::new(&path).ok()?,
            _ => return None,
        };
        // Without a socket no progress is reported, which is allowed.
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
        Some(Self { socket, address })
    }

    /// Sends assignments, one per line. The caller goes on if the manager does not listen.
    pub fn tell(&self, assignments: &str) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = rustix::net::sendto(&self.socket, assignments.as_bytes(), flags, &self.address);
    }
}
