//! Why a command about the ESP has failed.

use finalize_staged::inspect::NotLocked;

use crate::exit_status::{BUSY, FAILED, SUCCESS, Status};

/// The reason, and the exit status that units look at.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    status: Status,
}

impl From<NotLocked> for Failure {
    fn from(reason: NotLocked) -> Self {
        let status = if matches!(reason, NotLocked::Held(_)) { BUSY } else { FAILED };
        Self { text: reason.to_string(), status }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, status: FAILED }
    }
}

/// Tells of a failure.
pub(super) fn report(result: Result<(), Failure>) -> Status {
    match result {
        Ok(()) => SUCCESS,
        Err(Failure { text, status }) => {
            log::error!("{text}");
            status
        }
    }
}
