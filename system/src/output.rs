//! Standard output, without a buffer: what is printed is one text.

use rustix::io::Errno;

use crate::dir::write_all;
use crate::entry::survive_broken_pipes;

/// Prints.
///
/// # Errors
/// As `write(2)`: a reader that went away is `EPIPE`, and not the end of this process.
pub fn print(text: &str) -> Result<(), Errno> {
    survive_broken_pipes();
    write_all(rustix::stdio::stdout(), text.as_bytes())
}
