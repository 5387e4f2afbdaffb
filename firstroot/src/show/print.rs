//! Prints a value, as a page or as JSON.

use rustix::io::Errno;
use serde::Serialize;
use system::output;

use super::page::Page;
use super::terminal::Terminal;
use crate::exit_status::{FAILED, SUCCESS, Status};

/// Prints `value` as JSON, or as `page`. The status is a failure if it could not be printed; if the reader has closed the pipe, there
/// is no message.
pub(crate) fn print(value: &impl Serialize, json: bool, page: impl FnOnce(&mut Page)) -> Status {
    if json {
        return match serde_json::to_string_pretty(value) {
            Ok(text) => printed(output::print_json(&format!("{text}\n"))),
            Err(error) => {
                log::error!("{error}");
                FAILED
            }
        };
    }
    let mut whole = Page::default();
    page(&mut whole);
    printed(output::print_coloured(&whole.render(Terminal::of_this_process())))
}

/// Prints a text.
pub(crate) fn text(text: &str) -> Status {
    printed(output::print(text))
}

fn printed(result: Result<(), Errno>) -> Status {
    match result {
        Ok(()) => SUCCESS,
        Err(Errno::PIPE) => FAILED,
        Err(reason) => {
            log::error!("cannot write to standard output: {reason}");
            FAILED
        }
    }
}
