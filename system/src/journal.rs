//! Structured messages to the journal, by its native protocol (systemd's JOURNAL_NATIVE_PROTOCOL).

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::printable::printable;

const SOCKET: &str = "/run/systemd/journal/socket";

/// A socket to the journal.
#[derive(Debug)]
pub struct Journal(OwnedFd);

impl Journal {
    /// `None` if no socket can be opened. This cannot be reported, because the journal is unreachable.
    pub fn open() -> Option<Self> {
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok().map(Self)
    }

    /// Sends one message of several fields.
    ///
    /// If no journal listens, as in a small initramfs, or does not read, the message is dropped; then it returns false.
    pub fn send(&self, fields: &[(&str, String)]) -> bool {
        let Ok(address) = SocketAddrUnix::new(SOCKET) else { return false };
        // Dropped if the journal does not run or does not read: the boot must not wait for it.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::sendto(&self.0, &encode(fields), flags, &address).is_ok()
    }
}

fn encode(fields: &[(&str, String)]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (name, value) in fields {
        // MESSAGE is for people; the other fields are data.
        let value = if *name == "MESSAGE" { printable(value) } else { value.into() };
        datagram.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            datagram.push(b'\n');
            datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            datagram.push(b'=');
        }
        datagram.extend_from_slice(value.as_bytes());
        datagram.push(b'\n');
    }
    datagram
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn a_value_of_several_lines_has_its_length_before_it() {
        let fields = [("MESSAGE", "one".to_owned()), ("TEXT", "a\nb".to_owned())];
        assert_eq!(encode(&fields), b"MESSAGE=one\nTEXT\n\x03\0\0\0\0\0\0\0a\nb\n");
    }

    #[test]
    fn a_message_does_not_talk_to_the_terminal() {
        assert_eq!(encode(&[("MESSAGE", "a\x1b[2J".to_owned())]), b"MESSAGE=a\\u{1b}[2J\n");
    }
}
