//! Standard output, without a buffer: what is printed is one text.

use rustix::io::Errno;

use crate::dir::write_all;
use crate::entry::survive_broken_pipes;
use crate::printable::{printable_json, printable_lines};

/// Prints lines, each [`printable`](crate::printable::printable). A line feed begins a new one: names go through `printable`
/// before they are put into a line.
///
/// # Errors
/// As `write(2)`: a reader that went away is `EPIPE`, and not the end of this process.
pub fn print(text: &str) -> Result<(), Errno> {
    write(&printable_lines(text))
}

/// Prints JSON, whose strings have escapes of their own for what a console would not show.
///
/// # Errors
/// As [`print`].
pub fn print_json(json: &str) -> Result<(), Errno> {
    write(&printable_json(json))
}

fn write(text: &str) -> Result<(), Errno> {
    survive_broken_pipes();
    write_all(rustix::stdio::stdout(), text.as_bytes())
}
