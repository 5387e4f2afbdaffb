//! Standard output without a buffer: the programs print one text.

use rustix::io::Errno;

use crate::dir::write_all;
use crate::entry::survive_broken_pipes;
use crate::printable::{printable_json, printable_lines};

/// Prints lines, each [`printable`](crate::printable::printable). A line feed begins a new one: names go through `printable`
/// before they are put into a line.
///
/// # Errors
/// As `write(2)`: `EPIPE` if the reader has closed the pipe; the process goes on.
pub fn print(text: &str) -> Result<(), Errno> {
    write(&printable_lines(text))
}

/// Prints JSON. Its strings have JSON escapes for characters that a console would not show.
///
/// # Errors
/// As [`print`].
pub fn print_json(json: &str) -> Result<(), Errno> {
    write(&printable_json(json))
}

/// Prints a text as it is, with the colours that a terminal is told. Each name in it went through
/// [`printable`](crate::printable::printable) before.
///
/// # Errors
/// As [`print`].
pub fn print_coloured(text: &str) -> Result<(), Errno> {
    write(text)
}

fn write(text: &str) -> Result<(), Errno> {
    survive_broken_pipes();
    write_all(rustix::stdio::stdout(), text.as_bytes())
}
