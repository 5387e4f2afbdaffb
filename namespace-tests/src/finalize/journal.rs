//! A journal to talk to: the socket, and what was sent to it.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use qemu_tests::journal::JournalEntry;

/// A structured message: its fields by name.
pub type JournalMessage = BTreeMap<String, String>;

/// Larger than any datagram that is sent.
const LONGEST: usize = 1 << 18;

/// The socket, while it is listened to.
pub(super) struct Journal {
    path: PathBuf,
    ended: Arc<AtomicBool>,
    // Reads all the time: the kernel keeps ten datagrams, and then the sender waits.
    reader: JoinHandle<Vec<JournalMessage>>,
}

impl Journal {
    /// Listens at `path`.
    pub(super) fn listen(path: &Path) -> Result<Journal> {
        let socket = UnixDatagram::bind(path).with_context(|| format!("making the socket {}", path.display()))?;
        socket.set_read_timeout(Some(Duration::from_millis(10))).context("the socket's timeout")?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let reader = std::thread::spawn(move || read(&socket, &flag));
        Ok(Journal { path: path.to_path_buf(), ended, reader })
    }

    /// What was sent, in order; to be called when nobody sends any more.
    pub(super) fn messages(self) -> Result<Vec<JournalMessage>> {
        self.ended.store(true, Ordering::Release);
        let messages = self.reader.join().map_err(|_| anyhow!("the journal's reader panicked"))?;
        std::fs::remove_file(&self.path).with_context(|| format!("removing {}", self.path.display()))?;
        Ok(messages)
    }
}

fn read(socket: &UnixDatagram, ended: &AtomicBool) -> Vec<JournalMessage> {
    let mut messages = Vec::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        // Looked at before the socket: what was sent before the end is read.
        let last = ended.load(Ordering::Acquire);
        match socket.recv(&mut buffer) {
            Ok(length) => messages.extend(parse(buffer.get(..length).unwrap_or_default())),
            Err(_) if last => return messages,
            Err(_) => {}
        }
    }
}

/// The native protocol is the export format with a datagram in place of the empty line.
fn parse(datagram: &[u8]) -> Option<JournalMessage> {
    let mut entry = datagram.to_vec();
    entry.push(b'\n');
    let fields = JournalEntry::parse_export(&entry).into_iter().next()?;
    Some(fields.into_fields().into_iter().collect())
}
